"""A disk that records: every write and every flush that reaches it, in order.

A FUSE file system of one file, spoken with /dev/fuse directly, lies under a loop device. So a real file system runs on
it, and the recording holds what its driver really sent to the disk. It runs as a process of its own:

    recording_disk.py IMAGE RECORDING POSITION MOUNTPOINT

IMAGE is the disk's content. RECORDING gets the records. POSITION is a file of 8 bytes with the number of records so far;
whoever has been answered can tell from it what had reached the disk by then. MOUNTPOINT is a file, which becomes the disk.
"""

import ctypes
import mmap
import os
import struct
import sys

GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC = 3, 4, 14, 15, 16, 17, 18, 20
FORGET, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 2, 25, 26, 36, 38, 42
NO_REPLY = {FORGET, INTERRUPT, BATCH_FORGET}
ENOSYS = 38
MOST = 1 << 20  # bytes of a write
FLUSHED = (1 << 64) - 1  # the offset of a record that is a flush
RECORD = struct.Struct("<QI")


class Disk:
    def __init__(self, image, recording, position, mountpoint):
        self.image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.image).st_size
        self.recording = open(recording, "wb", buffering=1 << 20)
        with open(position, "r+b") as file:
            self.position = mmap.mmap(file.fileno(), 8)
        self.count = 0
        self.device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.device},rootmode=100600,user_id=0,group_id=0,max_read={MOST}"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"recording-disk", mountpoint.encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")

    def record(self, offset, data=b""):
        self.recording.write(RECORD.pack(offset, len(data)))
        self.recording.write(data)
        self.count += 1
        struct.pack_into("<Q", self.position, 0, self.count)

    def serve(self):
        while True:
            try:
                request = os.read(self.device, MOST + 8192)
            except InterruptedError:
                continue
            except OSError:  # unmounted
                break
            _, operation, unique = struct.unpack_from("<IIQ", request)
            if operation in NO_REPLY:
                continue
            try:
                body = self.answer(operation, memoryview(request)[40:])
                error = 0
            except OSError as failure:
                body, error = b"", -failure.errno
            try:
                os.write(self.device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except OSError:
                pass  # the request was interrupted
            if operation == DESTROY:
                break
        self.recording.flush()

    def attributes(self):
        return struct.pack("<QII", 3600, 0, 0) + struct.pack(
            "<6Q10I", 1, self.size, self.size // 512, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0, 4096, 0
        )

    def answer(self, operation, body):
        if operation == INIT:
            major, minor, readahead = struct.unpack_from("<III", body)
            flags = 1 << 0 | 1 << 5 | 1 << 22  # asynchronous reads, big writes, many pages
            return struct.pack("<IIIIHHIIHHI7I", 7, min(minor, 31), readahead, flags, 16, 12, MOST, 1, MOST // 4096, 0,
                               0, *[0] * 7)
        if operation in (GETATTR, SETATTR):
            return self.attributes()
        if operation == OPEN:
            return struct.pack("<QII", 1, 1, 0)  # direct: every write of the loop device comes here at once
        if operation == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return os.pread(self.image, size, offset)
        if operation == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            data = body[40 : 40 + size]
            os.pwrite(self.image, data, offset)
            self.record(offset, data)
            return struct.pack("<II", size, 0)
        if operation == FSYNC:
            self.record(FLUSHED)
            self.recording.flush()
            return b""
        if operation in (FLUSH, RELEASE, DESTROY):
            return b""
        if operation == STATFS:
            return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
        raise OSError(ENOSYS, "not a call of this disk")


def records(recording):
    """The records of a finished recording: (offset, data), or (None, b"") for a flush."""
    with open(recording, "rb") as file:
        while len(header := file.read(RECORD.size)) == RECORD.size:
            offset, length = RECORD.unpack(header)
            yield (None, b"") if offset == FLUSHED else (offset, file.read(length))


if __name__ == "__main__":
    disk = Disk(*sys.argv[1:])
    print("ready", flush=True)
    disk.serve()
