"""Everything that is attacked."""

from tests.fuzz import files, http2, images, names, rpcs, snapshots
from tests.fuzz.case import Target

TARGETS: tuple[Target, ...] = (
    Target("rpcs", rpcs.opened, share=4),
    Target("http2", http2.opened),
    Target("images", images.opened_decoder),
    Target("photographs", images.opened_pipeline),
    Target("files", files.opened),
    Target("snapshots", snapshots.opened),
    Target("encrypted-snapshots", snapshots.opened_encrypted, share=0.5),
    Target("names", names.opened, share=0.25),
)
