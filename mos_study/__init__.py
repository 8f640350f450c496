"""The paper's mean opinion score (MOS) study: preparing it, showing blind pictures to raters, keeping their ratings."""
