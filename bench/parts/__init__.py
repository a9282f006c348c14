"""What is measured, one file each. A part is a function of the command line's arguments, which say in `work` where."""
from parts.bulk import bulk
from parts.crowd import crowd
from parts.desktop import desktop, desktop_queue
from parts.idle import idle
from parts.interrupted import interrupted
from parts.latency import latency
from parts.million import million
from parts.trees import far, trees

# Trees come first, because creating files takes longer for minutes after many were deleted.
ALL = {part.__name__: part for part in (trees, far, bulk, interrupted, crowd, latency, idle, million, desktop, desktop_queue)}
