"""`python -m controller.runner`: the zygote. The patch must come before any other import, hence the odd order."""

from gevent import monkey

monkey.patch_all()

from controller.runner.zygote import main  # noqa: E402 - after the patch, on purpose

main()
