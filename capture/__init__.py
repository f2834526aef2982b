"""Where pictures come from: webcams, network cameras, video files, folders of images and the embedded demo."""
