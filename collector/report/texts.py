"""Table of the texts of reports, in Chinese and English.

The terms of figures are those that WeChat's own console and its users have; the notes have their formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Text(NamedTuple):
    """A text in both languages; `{name}` in it stands for a value.

    An English text with a `|` has a form for a `count` of 1 before it, and one for other counts after it.
    """

    chinese: str
    english: str


_FIGURES = {
    "cumulate_user": Text("累积关注", "total followers"),
    "new_user": Text("新增关注", "new followers"),
    "cancel_user": Text("取消关注", "lost followers"),
    "net_user": Text("净增关注", "net growth"),
    "unfollow_rate": Text("日取关率", "daily unfollow rate"),
    "growth_rate": Text("增长率", "growth rate"),
    "lost_to_new": Text("取关/新增比", "lost-to-new ratio"),
    "mean": Text("7日均线", "7-day mean"),
    "share": Text("渠道占比", "channel share"),
    "index": Text("指数", "index"),
    "change": Text("环比", "against the period before"),
}
_COMPARISONS = {
    "against_day": Text("日环比", "day before"),
    "against_week": Text("周环比", "week before"),
    "against_month": Text("月环比", "month before"),
    "against_period": Text("环比", "period before"),
    "against_year": Text("同比", "year before"),
    "windows": Text("{this} 对比 {base}", "{this} against {base}"),
    "reason_not_over": Text("本期未结束", "not over yet"),
    "reason_no_period": Text("上年无此周", "no such week"),
    "reason_incomplete": Text("本期不完整", "incomplete"),
    "reason_base_not_stored": Text("无基期数据", "base not stored"),
    "reason_base_incomplete": Text("基期不完整", "base incomplete"),
    "reason_base_unborn": Text("基期未开通", "not born yet"),
    "reason_base_zero": Text("基期为 0", "base is 0"),
    "reason_base_negative": Text("基期为负", "base is negative"),
    "reason_undefined": Text("分母为 0", "divides by 0"),
    "incomplete_accounts": Text("{count} 个账号不完整", "{count} account incomplete|{count} accounts incomplete"),
    "left_out_accounts": Text("不含 {count} 个账号", "without {count} account|without {count} accounts"),
    "left_out": Text("比较不含的账号数", "accounts not compared"),
}
_MARKS = {
    "mark_stored": Text("", ""),
    "mark_proven": Text("已证实为 0", "proven 0"),
    "mark_partial": Text("部分缺失", "partly missing"),
    "mark_missing": Text("待补", "missing"),
    "mark_void": Text("微信无数据", "WeChat has none"),
    "mark_uncollected": Text("未采集", "not collected"),
    "mark_unborn": Text("账号未开通", "before the account began"),
    "remark_lacking": Text("缺 {count} 个账号", "{count} account missing|{count} accounts missing"),
    "remark_breaks": Text("数据断裂", "figures break"),
    "coverage_complete": Text("完整", "complete"),
    "coverage_pending": Text("待补", "pending"),
    "coverage_failed": Text("失败", "failed"),
    "coverage_silent": Text("沉默", "silent"),
}
_HEAD = {
    "report": Text("公众号粉丝报告", "Follower report"),
    "accounts_of": Text("{count} 个公众号", "{count} official accounts"),
    "period": Text("统计周期", "period"),
    "from_to": Text("{begin} 至 {end}", "{begin} to {end}"),
    "period_week": Text("{year} 年第 {week} 周", "Week {week} of {year}"),
    "period_month": Text("{year} 年 {month} 月", "{year}-{month:02}"),
    "period_days": Text("{count} 天", "{count} day|{count} days"),
    "data_until": Text("数据截至", "figures up to"),
    "no_figures": Text("无数据", "none"),
    "accounts": Text("账号", "accounts"),
    "written": Text("生成于 {time}（北京时间）", "written at {time} Beijing time"),
    "not_over": Text(
        "统计周期尚未结束，以下为截至 {end} 的数据", "The period isn't over: these are the figures up to {end}"
    ),
    "no_script": Text(
        "图表需要 2022 年以后的浏览器并启用 JavaScript；表格不受影响",
        "Charts need JavaScript and a browser of 2022 or later; the tables don't",
    ),
}
_SECTIONS = {
    "overview": Text("概览", "Overview"),
    "key_figures": Text("关键指标", "Key figures"),
    "trend": Text("趋势", "Trend"),
    "sources": Text("来源", "Channels"),
    "rankings": Text("排行", "Rankings"),
    "calendar": Text("周历", "Calendar"),
    "issues": Text("异常与缺失", "Anomalies and gaps"),
    "details": Text("明细", "Details"),
    "notes": Text("数据说明", "About the figures"),
}
_WORDS = {
    "account": Text("账号", "account"),
    "value": Text("数值", "value"),
    "standing": Text("状态", "standing"),
    "appid": Text("AppID", "AppID"),
    "name": Text("名称", "name"),
    "tag": Text("标签", "tag"),
    "date": Text("日期", "date"),
    "channel": Text("渠道", "channel"),
    "remark": Text("备注", "remark"),
    "weekdays": Text("一 二 三 四 五 六 日", "Mon Tue Wed Thu Fri Sat Sun"),
    "unknown_channel": Text("渠道 {code}", "channel {code}"),
    "comma": Text("，", ", "),
    "list": Text("、", ", "),
    "colon": Text("：", ": "),
    "semicolon": Text("；", "; "),
    "and_more": Text("及另外 {count} 个", "and {count} more"),
    "days_in_all": Text("（共 {count} 天）", " ({count} days)"),
    "missing_days": Text("缺 {count} 天数据", "{count} day missing|{count} days missing"),
    "missing_account_days": Text("缺 {count} 个账号日", "{count} account day missing|{count} account days missing"),
    "total_on": Text("截至 {day}", "on {day}"),
    "without": Text("未计入 {names}", "without {names}"),
    "lacking_accounts": Text("未计入 {count} 个账号", "{count} account isn't in it|{count} accounts aren't in it"),
    "uncollected_days": Text("{count} 天未采集", "{count} day not collected|{count} days not collected"),
    "uncollected_account_days": Text(
        "{count} 个账号日未采集", "{count} account day not collected|{count} account days not collected"
    ),
    "other_channels": Text("其余 {count} 个渠道", "{count} other channels"),
}
_CHARTS = {
    "span": Text("时间范围", "span"),
    "span_7": Text("7 天", "7 days"),
    "span_30": Text("30 天", "30 days"),
    "span_90": Text("90 天", "90 days"),
    "span_365": Text("一年", "a year"),
    "key_gap": Text("缺失", "missing"),
    "key_pale": Text("缺部分账号", "accounts missing"),
    "key_zero": Text("为 0", "0"),
    "key_proven": Text("已证实为 0", "proven 0"),
    "key_break": Text("数据断裂", "figures break"),
    "key_mark": Text("微信调整渠道", "WeChat changed channels"),
    "key_less": Text("净减", "net loss"),
    "key_more": Text("净增", "net growth"),
    "mark_begins": Text("{names} 单列", "{names} on their own"),
    "mark_ends": Text("{names} 并入其他合计", "{names} into other"),
    "sources_caption": Text("每日新增关注，按渠道", "New followers a day by channel"),
    "compare_accounts": Text("累积关注，期初 = 100", "Total followers, first day = 100"),
    "compare_tags": Text("按标签：累积关注，期初 = 100", "By tag: total followers, first day = 100"),
    "calendar_caption": Text(
        "每日净增关注，行为星期，列为周一日期", "Net growth a day: rows are weekdays, columns Mondays"
    ),
}
_RANKINGS = {
    "ranking_gains": Text("涨粉榜", "Gains"),
    "ranking_losses": Text("掉粉榜", "Losses"),
    "ranking_unfollow_rate": Text("取关率榜", "Unfollow rate"),
    "ranking_growth_rate": Text("增长率榜", "Growth rate"),
    "ranking_growth_rate_note": Text("期初 {least} 粉丝以上", "from {least} followers up"),
    "ranking_empty": Text("无", "none"),
    "by_tag": Text("按标签", "By tag"),
}
_ISSUES = {
    "listed": Text("仅列出前 {shown} 项，共 {all} 项", "the first {shown} of {all}"),
    "issues_none": Text("本期数据完整，没有异常", "The period is complete, without anomalies"),
    "issues_missing": Text("缺失的日期", "Missing days"),
    "issues_summary": Text("缺新增/取消", "new and lost"),
    "issues_cumulate": Text("缺累积", "totals"),
    "issues_void": Text("微信无数据", "WeChat has none"),
    "issues_since": Text("自 {day} 起采集", "collected since {day}"),
    "issues_breaks": Text("数据断裂（累积 ≠ 前日累积 + 新增 − 取消）", "Breaks (total ≠ total before + new − lost)"),
    "issues_expected": Text("应为", "expected"),
    "issues_found": Text("实为", "found"),
    "issues_difference": Text("差", "difference"),
    "issues_silent": Text("沉默账号（近 14 天无数据）", "Silent accounts (no figures for 14 days)"),
    "issues_newest": Text("最近有数据的日期", "newest day with figures"),
    "issues_channels": Text("未知渠道", "Unknown channels"),
    "issues_no_channels": Text(
        "{count} 个账号日没有渠道数据，未计入来源",
        "account days without channels, which aren't in them: {count}",
    ),
}
_DETAILS = {
    "daily_sums": Text("每日合计", "Sums a day"),
    "by_account": Text("按账号", "By account"),
    "search": Text("搜索", "Search"),
    "download": Text("下载 CSV", "Download CSV"),
    "shown": Text("{shown} / {all} 行", "{shown} of {all} rows"),
    "details_too_many": Text(
        "账号和日期较多，按账号的明细未放入本页；请缩小 --tag 或 --period，或用 collector export 导出",
        "Too many accounts and days for a page: narrow --tag or --period, or use collector export",
    ),
    "details_of_site": Text(
        "每个账号的每日数据见该账号的页面，由账号表进入",
        "The days of each account are on its own page: see the table of accounts",
    ),
    "details_not_printed": Text("按账号的明细见网页版", "The details by account are in the page itself"),
}
_NOTES = {
    "note_new_user": Text("Σ 新增（new_user）", "Σ new_user"),
    "note_cancel_user": Text("Σ 取消（cancel_user）", "Σ cancel_user"),
    "note_net_user": Text("新增 − 取消", "new − lost"),
    "note_cumulate_user": Text(
        "最近完整日的累积（cumulate_user）；多个账号取共同的一天",
        "cumulate_user of the last complete day; of several accounts, of one day that they have in common",
    ),
    "note_unfollow_rate": Text(
        "取消 ÷ 当日累积；一段时间为 Σ取消 ÷ Σ累积。低于 0.5% 通常视为健康，这是行业惯例，不是微信的标准",
        "lost ÷ total of the day; of a period Σ lost ÷ Σ total. Under 0.5% passes for healthy (a convention)",
    ),
    "note_growth_rate": Text(
        "（期末 − 期初）÷ 期初；期初为统计周期前一日的累积",
        "(end − begin) ÷ begin, by totals; begin is the day before the period",
    ),
    "note_lost_to_new": Text("取消 ÷ 新增", "lost ÷ new"),
    "note_mean": Text("当日及前 6 日的均值，缺失的日子不计入", "mean of the last 7 days, of those that are there"),
    "note_share": Text("该渠道新增 ÷ 全部新增", "new followers of the channel ÷ those of all"),
    "note_change": Text(
        "环比 =（本期 − 上期）÷ 上期，日比日、周比周、月比月；同比 = 与上年同期相比。"
        "只比较两期数据都完整的账号，旁边注明不含几个账号；没有这样的账号或基期为 0 时不作比较",
        "(this − before) ÷ before: a day, a week, a month against the one before; or against the same a year before. "
        "Only accounts that are whole in both are compared, and beside it stands how many aren't; "
        "left out where none is, or the base is 0",
    ),
    "term_change": Text("环比、同比", "comparisons"),
    "term_published": Text("发布时间", "publication"),
    "note_published": Text(
        "微信在次日上午 8 点左右发布前一日数据，并会修订最近几天",
        "WeChat publishes a day at about 8 in the morning of the next one (Beijing time), and revises the last days",
    ),
    "term_missing": Text("待补、缺失", "missing"),
    "note_missing": Text(
        "微信尚未给出或未能取得的日子，会自动再次获取；缺失不计为 0，合计旁边注明缺多少天",
        "Days that WeChat hasn't given yet are asked for again. They never count as 0: each sum says what it lacks",
    ),
    "term_zeros": Text("为 0 的日子", "days of 0"),
    "note_zeros": Text(
        "实心圆：微信返回 0；空心圆：微信未返回，由累积不变证实为 0",
        "Full dot: WeChat said 0. Hollow dot: it said nothing, and the unchanged total proved 0",
    ),
    "term_other": Text("其他合计", "other"),
    "note_other": Text(
        "渠道 0 是其中一个渠道，不是合计；2023-06 起含支付后关注",
        "Channel 0 is one among others, not the sum; since 2023-06 it holds those after paying",
    ),
}

_SITE = {
    "all_accounts": Text("全部公众号", "All official accounts"),
    "lacking_days": Text("缺失天数", "missing days"),
    "search_accounts": Text("搜索名称、AppID 或标签", "Search names, AppIDs or tags"),
    "all_tags": Text("全部标签", "All tags"),
    "all_standings": Text("全部状态", "All standings"),
    "no_match": Text("没有符合条件的账号", "No account matches"),
    "previous": Text("上一页", "Previous"),
    "next": Text("下一页", "Next"),
    "page_of": Text("第 {page} / {pages} 页", "Page {page} of {pages}"),
    "collector": Text("采集状态", "Collector"),
    "last_run": Text("最近一次运行", "Last run"),
    "last_completed": Text("最近完成的运行", "Last completed run"),
    "no_run": Text("尚无运行记录", "None yet"),
    "newest_published": Text("微信已发布至", "Published up to"),
    "run_counts": Text("{total} 个账号，{failed} 个失败", "{total} accounts, {failed} failed"),
    "run_ok": Text("全部成功", "Complete"),
    "run_pending": Text("部分待补", "Days pending"),
    "run_partial": Text("部分失败", "Some accounts failed"),
    "run_failed": Text("失败", "Failed"),
    "run_stopped": Text("被中止", "Stopped"),
    "run_crashed": Text("异常退出", "Crashed"),
    "run_running": Text("运行中", "At work"),
    "run_unknown": Text("未知", "Unknown"),
    "collector_failing": Text("失败", "failing"),
    "collector_never_collected": Text("尚未采集", "never collected"),
    "collector_behind": Text("缺最新一日", "behind"),
    "collector_ok": Text("正常", "ok"),
    "collector_silent": Text("沉默", "silent"),
    "failing_accounts": Text("采集失败的账号", "Failing accounts"),
    "failing_none": Text("没有采集失败的账号", "No account is failing"),
    "failing_since": Text("失败始于（北京时间）", "failing since (Beijing time)"),
    "error": Text("错误", "error"),
    "remedy": Text("处理办法", "remedy"),
}

TEXTS: Mapping[str, Text] = {
    **_FIGURES,
    **_COMPARISONS,
    **_MARKS,
    **_HEAD,
    **_SECTIONS,
    **_WORDS,
    **_CHARTS,
    **_RANKINGS,
    **_ISSUES,
    **_DETAILS,
    **_NOTES,
    **_SITE,
}
