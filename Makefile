# make demo: the page in the browser. make study: the rating test. make test: lint and tests. make results: the tables and figures
# in results/, from the shipped weights and the images in $SR_DATA. All set up .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo study test results clean

demo: $(VENV)/installed
	$(BIN)/python -m demo $(ARGS)

study: $(VENV)/installed
	@$(BIN)/python -c 'from mos_study.store import Store; raise SystemExit(Store.open().study() is None)' || \
		$(BIN)/python -m mos_study.prepare mos_study/configs/demo.yaml
	$(BIN)/python -m mos_study.app $(ARGS)

test: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	# A process for each file: native libraries of one test (OpenVINO, Ray, compilers) have ended another's.
	# Backwards in the alphabet: the weights' tests, which take long, are not left for the end.
	ls -r tests/test_*.py | OMP_NUM_THREADS=1 xargs -P 2 -n 1 $(BIN)/python -m pytest -q $(ARGS)

# Of the paper's tables; SelfExSR's are other people's pictures.
METHODS := nearest bicubic srcnn drcn espcn srresnet srresnet-vgg22 srgan-mse srgan-vgg22 srgan hr
EXAMPLES := demo/examples/hr
VGG = $(SR_DATA)/vgg16_imagenet_features.safetensors

results: $(VENV)/installed
	@test -d "$(SR_DATA)/benchmark" || \
		{ echo "SR_DATA must name a folder that holds benchmark/Set5, Set14 and BSD100 (python -m sr download brings them)"; exit 1; }
	$(BIN)/python -m sr evaluate --benchmark $(SR_DATA)/benchmark --methods $(METHODS) \
		$(if $(wildcard $(VGG)),--vgg $(VGG)) --report results --update-cards --crops $(EXAMPLES)/cat.png:90,50,150,110 \
		$(EXAMPLES)/astronaut.png:150,40,150,110 $(EXAMPLES)/patch.png:80,30,150,110
	$(BIN)/python -m sr curves results/training/srresnet-finetune.csv results/training/srresnet-further.csv results/training/srresnet-last.csv results/training/srresnet-gpu.csv results/training/srresnet-selftaught.csv -o results/training/srresnet.png
	$(BIN)/python -m sr curves results/training/srgan.csv results/training/srgan-retouch.csv -o results/training/srgan.png
	$(BIN)/python -m mos_study.simulate mos_study/configs/srgan-paper.yaml --raters 26 --seed 2 -o simulated.csv
	$(BIN)/python mos_study/analyze.py --csv simulated.csv --objective results/paper.json -o results/study-simulated
	rm simulated.csv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older; try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-tests: tests/requirements.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
