"""What has the device to itself: the queue, its children, and the folders that they work in."""
