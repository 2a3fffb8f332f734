"""Label of pixels and tags that are unknown."""

IGNORED = -100  # torch's `ignore_index`; in files of masks it is 255 unless said otherwise
