import pytest
import torch
from torch import nn

from sr.models import Discriminator, SRResNet


def test_generator_is_the_papers():
    generator = SRResNet()
    assert sum(parameter.numel() for parameter in generator.parameters()) == 1_547_350  # 1.55 M
    convs = [module for module in generator.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.kernel_size[0] for conv in convs] == [9] + [3] * 33 + [3, 3] + [9]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in generator.modules()) == 33
    assert sum(isinstance(module, nn.PixelShuffle) for module in generator.modules()) == 2


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_generator_enlarges_any_size(scale):
    generator = SRResNet(num_blocks=1, channels=8, scale=scale).eval()
    assert generator(torch.rand(2, 3, 7, 10)).shape == (2, 3, 7 * scale, 10 * scale)


def test_state_dict_names_are_stable():
    """Weights out in the world depend on these names."""
    names = {name.rsplit(".", 1)[0] for name in SRResNet(num_blocks=1).state_dict()}
    assert names == {
        "head_conv", "head_act", "body_conv", "body_bn", "tail_conv",
        "blocks.0.conv1", "blocks.0.bn1", "blocks.0.act", "blocks.0.conv2", "blocks.0.bn2",
        "upsample.0.conv", "upsample.0.act", "upsample.1.conv", "upsample.1.act",
    }  # fmt: skip


def test_untrained_generator_shows_no_checkerboard():
    """ICNR: the four sub-pixels of a cell start equal, so that a PixelShuffle alone makes no pattern."""
    torch.manual_seed(0)
    block = SRResNet(num_blocks=1, channels=8).upsample[0]
    cells = block(torch.randn(1, 8, 5, 6)).reshape(1, 8, 5, 2, 6, 2)
    assert cells.amax((3, 5)).equal(cells.amin((3, 5)))


def test_output_depends_on_the_receptive_field_alone():
    generator = SRResNet(num_blocks=2, channels=4).eval().double()
    radius = generator.receptive_radius
    side = 2 * radius + 5
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = image.clone()
    changed[..., 0, 0] += 1
    difference = (generator(image) - generator(changed)).abs().amax((0, 1))
    assert difference[4 * radius + 4 :].max() == 0
    assert difference[: 4 * radius].max() > 0


@pytest.mark.parametrize("side", [2, 4])
def test_the_last_convolution_by_cells_is_the_same(side):
    tail, image = SRResNet(num_blocks=1, channels=4).tail_conv.double(), torch.rand(2, 4, 12, 20, dtype=torch.float64)
    plain = torch.nn.functional.conv2d(image, tail.weight, tail.bias, padding=4)
    assert torch.allclose(tail.by_cells(image, side), plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0, 1, 3, 6])
def test_impossible_scale_is_refused(scale):
    with pytest.raises(ValueError, match="power of two"):
        SRResNet(scale=scale)


def test_discriminator_is_the_papers():
    discriminator = Discriminator()
    convs = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d)]
    layers = [(conv.out_channels, conv.stride[0]) for conv in convs]
    assert layers == [(64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)]
    assert {conv.kernel_size for conv in convs} == {(3, 3)}
    assert sum(isinstance(module, nn.BatchNorm2d) for module in discriminator.modules()) == 7
    assert not any(isinstance(module, nn.MaxPool2d) for module in discriminator.modules())
    linear = [module.out_features for module in discriminator.modules() if isinstance(module, nn.Linear)]
    assert linear == [1024, 1]
    assert discriminator(torch.rand(2, 3, 96, 96) * 2 - 1).shape == (2, 1)


def test_discriminator_refuses_other_sizes():
    with pytest.raises(ValueError, match="multiple of 16"):
        Discriminator(crop_size=100)
    with pytest.raises(ValueError, match="96x96"):
        Discriminator(channels=2)(torch.rand(2, 3, 64, 64))
