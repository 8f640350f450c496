"""The web page: bicubic, SRResNet and SRGAN side by side. Start it with `python -m demo`."""
