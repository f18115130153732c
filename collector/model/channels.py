"""Table of channels: where followers come from, WeChat's `user_source` of getusersummary.

Other calls of WeChat, such as those for articles and `user/info`, have tables of their own under similar names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple


class Channel(NamedTuple):
    """A channel. `begin` is the first day with figures of its own and `end` the last one, where WeChat changed that.

    Before and after them, its followers are counted in channel 0.
    """

    code: int
    chinese: str
    english: str
    begin: date | None = None
    end: date | None = None


CHANNELS: Mapping[int, Channel] = {
    channel.code: channel
    for channel in (
        # One channel among others, and not the sum.
        Channel(0, "其他合计", "other"),
        Channel(1, "公众号搜索", "search"),
        Channel(3, "扫描二维码 (旧)", "QR code (old)"),
        Channel(17, "名片分享", "name card"),
        Channel(30, "扫描二维码", "QR code"),
        Channel(35, "搜号码", "search by number"),
        Channel(39, "查询微信公众帐号", "search by account"),
        Channel(43, "图文页右上角菜单", "menu of an article"),
        Channel(51, "支付后关注", "after paying", end=date(2023, 5, 31)),
        Channel(57, "文章内账号名称", "account name in an article"),
        Channel(75, "公众号文章广告", "article advertisement"),
        Channel(78, "朋友圈广告", "Moments advertisement"),
        Channel(100, "微信广告", "WeChat advertisement", begin=date(2020, 6, 1)),
        Channel(149, "小程序关注", "mini program"),
        Channel(161, "他人转载", "reposted by others", begin=date(2020, 4, 1)),
        # Seen in answers, and in no table of WeChat's.
        Channel(176, "专辑页内账号名称", "account name in an album", begin=date(2020, 6, 1)),
        Channel(200, "视频号", "Channels"),
        Channel(201, "直播", "live stream"),
    )
}
"""The channels by code, as WeChat names them, now or formerly.

2, 4, 5, 10 and 11 were seen in answers and never named: like each code that is missing here, they go by their number.
"""
