"""Choose gamma and tau from labelled embeddings."""

from ersgallery_server.thresholds.labelled_embeddings import LabelledEmbeddings

__all__ = ["LabelledEmbeddings"]
