"""The mean-opinion-score study of the paper (section 3.3). Not part of this version; see the README's limits."""
