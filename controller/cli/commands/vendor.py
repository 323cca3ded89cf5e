"""`cto vendor`: the publisher's side, with the publisher's own keys. Nothing here touches a fleet."""

from controller.cli.base import Noun
from controller.cli.vendor_license import license_
from controller.cli.vendor_release import release

vendor = Noun("vendor", help="Make keys, issue licences, publish releases.").add(license_, release)
