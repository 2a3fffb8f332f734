"""Launch and synchronise the processes of a run: DDP and FSDP."""
