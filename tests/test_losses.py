import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from sr.config import TrainConfig, load_config, presets
from sr.errors import SRError
from sr.losses import (
    ChromaLoss,
    ColourLoss,
    DiscriminatorLoss,
    GeneratorAdversarialLoss,
    GridLoss,
    MSELoss,
    TotalVariationLoss,
    VGGLoss,
)
from sr.trainer import Trainer


@pytest.mark.parametrize(
    ("network", "layer", "description"),
    [
        ("VGG19", "vgg54", "VGG19 relu5_4"),
        ("VGG19", "vgg22", "VGG19 relu2_2"),
        ("VGG16", "vgg54", "VGG16 relu5_3"),
        ("VGG16", "vgg22", "VGG16 relu2_2"),
    ],
)
def test_vgg_layers_follow_torchvision(vgg_files, network, layer, description):
    """phi_i,j after the activation and before the pool, with torchvision's own network as the reference."""
    import torchvision
    from safetensors.torch import load_file

    reference = getattr(torchvision.models, network.lower())(weights=None).features.eval()
    state = load_file(vgg_files[network])
    reference.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    last = {"VGG19 relu5_4": 35, "VGG19 relu2_2": 8, "VGG16 relu5_3": 29, "VGG16 relu2_2": 8}[description]
    assert isinstance(reference[last], torch.nn.ReLU)
    assert isinstance(reference[last + 1], torch.nn.MaxPool2d)
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    sr, hr = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        a, b = (reference[: last + 1](normalise((image + 1) / 2)) for image in (sr, hr))
    expected = ((a - b) / 12.75).square().sum() / (2 * a.shape[2] * a.shape[3])  # by W*H and the batch, not by channels
    loss = VGGLoss(layer, vgg_files[network])
    assert loss.description == description
    assert loss(sr, hr).item() == pytest.approx(expected.item(), rel=1e-4)
    assert not list(filter(lambda parameter: parameter.requires_grad, loss.parameters()))


def test_vgg_file_that_is_neither_network(tmp_path):
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "odd.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name, message in [("odd", "neither"), ("text", "cannot be read"), ("absent", "not found")]:
        with pytest.raises(SRError, match=message):
            VGGLoss("vgg54", tmp_path / f"{name}.safetensors")
    with pytest.raises(SRError, match="vgg33"):
        VGGLoss("vgg33", tmp_path / "odd.safetensors")


def test_losses_by_hand():
    assert MSELoss()(torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 3, 4, 4)).item() == pytest.approx(0.25)
    image = torch.zeros(2, 3, 4, 4)
    image[0, 0, 1, 1] = 1  # four neighbours, in one of two images
    assert TotalVariationLoss()(image).item() == pytest.approx(4 / 2)
    logits = torch.tensor([[0.0], [math.log(3)]])  # D = 1/2 and 3/4
    assert GeneratorAdversarialLoss()(logits).item() == pytest.approx(-(math.log(1 / 2) + math.log(3 / 4)) / 2)
    expected = -(math.log(1 / 2) + math.log(3 / 4)) / 2 - (math.log(1 / 2) + math.log(1 / 4)) / 2
    assert DiscriminatorLoss()(logits, logits).item() == pytest.approx(expected)
    smoothed = F.binary_cross_entropy_with_logits(logits, torch.full((2, 1), 0.9))
    smoothed += F.binary_cross_entropy_with_logits(logits, torch.zeros(2, 1))
    assert DiscriminatorLoss(smoothing=0.1)(logits, logits).item() == pytest.approx(smoothed.item())


def test_chroma_loss_sees_colour_alone():
    hr = torch.rand(2, 3, 8, 8) * 2 - 1
    assert ChromaLoss()(hr + 0.1, hr).item() == pytest.approx(0, abs=1e-6)
    bluer = hr + torch.tensor([0, 0, 0.1]).view(3, 1, 1)  # BT.601: Cb + 0.5 * 0.1, Cr - 0.081312 * 0.1
    assert ChromaLoss()(bluer, hr).item() == pytest.approx((0.05 + 0.0081312) / 2, rel=1e-4)


def test_grid_loss_sees_what_repeats_every_four_pixels():
    hr = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    grid = torch.zeros(4, 4)
    grid[1, 2] = 0.16  # mean 0.01: one position is 0.15 above it, fifteen are 0.01 below
    expected = (0.15 + 15 * 0.01) / 16
    gridded = hr + grid.repeat(32, 32)
    assert GridLoss()(gridded, hr).item() == pytest.approx(expected, rel=1e-4)
    shifted = [image.roll((5, 2), (2, 3)) for image in (gridded, hr)]
    assert GridLoss()(*shifted).item() == pytest.approx(expected, rel=1e-4)
    assert GridLoss()(hr + 0.1, hr).item() == pytest.approx(0, abs=1e-6)
    other_period = hr + torch.eye(3).mul(0.3).repeat(43, 43)[:128, :128]
    assert GridLoss()(other_period, hr).item() < 0.1 * (other_period - hr).abs().mean()


def test_colour_loss_sees_means_and_not_texture():
    hr = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert ColourLoss()(hr + 0.1, hr).item() == pytest.approx(0.1, rel=1e-4)
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(64, 64)
    assert ColourLoss()(hr + checks, hr).item() == pytest.approx(0, abs=1e-6)
    halves = torch.where(torch.arange(128) < 64, 0.1, -0.1)  # the whole picture's mean is right, its halves' are not
    assert ColourLoss()(hr + halves, hr).item() == pytest.approx(0.1, rel=1e-4)


def test_adversarial_losses_stay_finite_and_keep_their_gradient():
    logits = torch.tensor([[-200.0], [200.0]], requires_grad=True)
    GeneratorAdversarialLoss()(logits).backward()
    assert logits.grad[0].item() == pytest.approx(-0.5)  # a generator that D sees through still learns
    assert torch.isfinite(DiscriminatorLoss()(logits, logits))


@pytest.mark.parametrize("preset", presets())
def test_every_term_of_every_preset_reaches_the_generator(preset, vgg_files):
    small = {"num_blocks": 1, "channels": 8, "discriminator_channels": 4, "crop_size": 32, "precision": "fp32"}
    config = load_config(preset, small)
    trainer = Trainer(config, torch.device("cpu"), vgg_weights=vgg_files["VGG19"])
    expected = {
        "content": config.content_weight,
        "pixel": config.pixel_weight,
        "chroma": config.chroma_weight,
        "colour": config.colour_weight,
        "grid": config.grid_weight,
        "adversarial": config.adversarial_weight,
        "tv": config.tv_weight,
    }
    assert {name: weight for name, (weight, _) in trainer.terms.items()} == {k: v for k, v in expected.items() if v}
    planes = 1 if trainer.generator.is_luma else 3
    lr, hr = torch.rand(2, planes, 8, 8), torch.rand(2, planes, 32, 32) * 2 - 1
    for name in trainer.terms:
        trainer.generator.zero_grad()
        trainer.generator_losses(trainer.generator(lr), hr, hr)[name].backward()
        for parameter_name, parameter in trainer.generator.named_parameters():
            if (name, parameter_name) == ("tv", "tail_conv.bias"):
                continue  # total variation does not see a constant
            assert parameter.grad is not None, (name, parameter_name)
            assert parameter.grad.abs().sum() > 0, (name, parameter_name)


def test_papers_presets():
    """Section 3.2: iterations, rates, batch 16 of 96x96, Adam 0.9, 1e-3, TV 2e-8."""
    variants = {name: load_config(name) for name in presets() if not name.endswith(("-budget", "-finetune", "-cpu"))}
    variants = {name: config for name, config in variants.items() if config.network == "srresnet"}
    assert list(variants) == ["srgan-mse", "srgan-vgg22", "srgan-vgg54", "srresnet-mse", "srresnet-vgg22"]
    for name, config in variants.items():
        assert (config.batch_size, config.crop_size, config.beta1, config.lr) == (16, 96, 0.9, 1e-4)
        assert config.content == name.partition("-")[2]
        assert config.is_gan == name.startswith("srgan")
        if config.is_gan:
            assert (config.iterations, config.schedule, config.init) == (200_000, "drop", "srresnet")
            assert config.adversarial_weight == 1e-3
        else:
            assert (config.iterations, config.schedule) == (1_000_000, "constant")
        assert config.tv_weight == (2e-8 if name == "srresnet-vgg22" else 0)
    assert TrainConfig(name="x").num_blocks == 16
