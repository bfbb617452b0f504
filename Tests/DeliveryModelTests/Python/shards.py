"""Writes the CRC16 that Python computes for each line of the input."""
import binascii
import sys

for line in sys.stdin:
    print(binascii.crc_hqx(line.rstrip("\n").encode("utf-8"), 0))
