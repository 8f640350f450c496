"""What a training did otherwise than the paper of its network, for the model card."""

from sr.trainer import Trainer

PAPERS = {
    "SRResNet": "Ledig et al., Photo-Realistic Single Image Super-Resolution Using a GAN, CVPR 2017",
    "SRCNN": "Dong et al., Image Super-Resolution Using Deep Convolutional Networks, TPAMI 2016",
    "DRCN": "Kim et al., Deeply-Recursive Convolutional Network for Image Super-Resolution, CVPR 2016",
    "ESPCN": "Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional "
    "Neural Network, CVPR 2016",
}
ONE_RATE = "all layers are trained at one rate, the last one is not slower"
HAND_THROUGH = "He initialisation with one channel that hands the picture through"
# Of every training here.
ALWAYS = {
    "SRResNet": ["PReLU with one slope a layer (the paper does not say), He and ICNR initialisation"],
    "SRCNN": [ONE_RATE, "trained on padded crops instead of smaller results", HAND_THROUGH],
    "DRCN": ["no ReLU after the last convolution, whose output is a difference"],
    "ESPCN": [ONE_RATE, HAND_THROUGH],
}


def departures(trainer: Trainer) -> list[str]:
    """Phrases, one a departure."""
    config, network = trainer.config, type(trainer.generator).__name__
    result = list(ALWAYS[network])
    content = trainer.terms.get("content")
    description = getattr(content[1], "description", "") if content else ""
    if description.startswith("VGG16"):
        result.append(f"content loss on {description} instead of VGG19")
    start = (trainer.parent_card or {}).get("name", "srresnet")
    if config.is_gan and start not in ("srresnet", config.name):
        result.append(f"the generator starts from {start} instead of srresnet")
    if config.content == "l1":
        result.append("L1 instead of MSE")
    if config.content_weight != 1:
        result.append(f"content loss weighted {config.content_weight:g} instead of 1")
    if config.pixel_weight:
        result.append(f"an L1 term on the pixels, weight {config.pixel_weight:g}")
    if config.chroma_weight:
        result.append(f"an L1 term on Cb and Cr, weight {config.chroma_weight:g}")
    if config.colour_weight:
        result.append(f"an L1 term on mean colours, weight {config.colour_weight:g}")
    if config.teacher:
        part = f"{config.teacher_share:g} of " if config.teacher_share < 1 else ""
        views = f" (means over {config.teacher_views} flips and turns of LR)" if config.teacher_views else ""
        result.append(
            f"the content loss compares with {part}a teacher's pictures{views} instead of HR, "
            "except where HR is text or a drawing"
        )
    if config.grid_weight:
        result.append(f"a term against grids of 4 pixels, weight {config.grid_weight:g}")
    if config.adversarial_weight not in (0, 1e-3):
        result.append(f"adversarial weight {config.adversarial_weight:g} instead of 0.001")
    batches = f"batches of {config.batch_size} crops of {config.crop_size} pixels a side"
    rates = f"learning rate {config.lr:g}, schedule {config.schedule}, {config.warmup_steps} steps of warm-up"
    if trainer.generator.is_luma:
        result += [batches, rates]
    else:
        result += [f"{batches} instead of 16 of 96"] if (config.batch_size, config.crop_size) != (16, 96) else []
        result += [rates] if config.lr != 1e-4 or config.schedule == "cosine" else []
    if config.shift_losses:
        result.append("SR and HR are shifted together by a random 0 to 15 pixels before the losses")
    if config.label_smoothing:
        result.append(f"the discriminator learns HR as {1 - config.label_smoothing:g} instead of 1")
    if config.is_gan and config.discriminator_channels != 64:
        result.append(f"the discriminator's layers have {config.discriminator_channels}/64 of the channels")
    if config.discriminator_lr not in (None, config.lr):
        result.append(f"the discriminator's learning rate is {config.discriminator_lr:g}")
    published = "SGD" if trainer.generator.is_luma else "Adam"
    if config.optimizer == "soap":
        betas = f"betas {config.beta1:g} and {config.beta2:g}"
        result.append(f"SOAP (Adam in Shampoo's eigenbasis), {betas}, instead of {published}")
    elif trainer.generator.is_luma:
        result.append(f"Adam, beta2 {config.beta2:g}, instead of SGD")
    elif config.beta2 != 0.999:
        result.append(f"Adam beta2 {config.beta2:g}")
    if config.clip_grad_norm:
        result.append(f"gradient norm clipped to {config.clip_grad_norm:g}")
    if config.ema_decay:
        result.append(f"the weights are an exponential moving average, decay {config.ema_decay:g}")
    if config.freeze_batch_norm:
        result.append("the generator's batch normalisation uses fixed statistics")
    if config.augment:
        result.append("flips and quarter turns")
    if config.rescale_min < 1:
        result.append(f"half of the crops from HR images reduced by a random factor in [{config.rescale_min:g}, 1]")
    return result
