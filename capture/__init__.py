"""Where pictures come from: webcams, network cameras, video files, folders of images and the embedded demo."""

import configs.environment  # noqa: F401 - before a library reads it
