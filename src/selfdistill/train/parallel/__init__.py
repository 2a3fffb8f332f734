"""Launch and synchronize the processes of a run: DDP and FSDP."""
