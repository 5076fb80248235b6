"""A store of a few files, declared by labels alone, for tasks of the bare program."""

COMPOSE = """
services:
  ledger:
    image: localhost/jimbot-base:bookworm
    init: true
    command: [sleep, infinity]
    network_mode: none
    volumes: ["data:/data"]
    labels:
      compose-ops.data.volumes: data
      compose-ops.backup.clean-exits: "0 143"
      compose-ops.backup.count: "ls /data | wc -l"
volumes: {data: }
"""
HELPER = '[backup]\nhelper_base = ["localhost/jimbot-base:bookworm"]\n'
