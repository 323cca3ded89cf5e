"""`python -m controller.runner`: the zygote. Does nothing but patch before any other import, and start."""

from gevent import monkey

monkey.patch_all()

from controller.runner.zygote import main  # noqa: E402 - after the patch, on purpose

main()
