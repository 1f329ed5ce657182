"""The calls both clients have, each described once: signature, request and reader."""
