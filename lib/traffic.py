"""What kind of traffic a visit is: paid advertising, a search engine, a robot."""

import re
from functools import lru_cache

from crawlerdetect import CrawlerDetect

# Click ids that paid advertising adds to addresses, in lower case, and whose they are.
AD_PARAMETERS = {
    "gclid": "Google Ads",
    "gbraid": "Google Ads",
    "wbraid": "Google Ads",
    "gad_source": "Google Ads",
    "gad_campaignid": "Google Ads",
    "gclsrc": "Google Ads",
    "dclid": "Google Ads",
    "msclkid": "Microsoft Advertising",
    "fbclid": "Meta",
    "ttclid": "TikTok",
    "twclid": "X",
    "li_fat_id": "LinkedIn",
    "rdt_cid": "Reddit",
    "epik": "Pinterest",
    "sccid": "Snapchat",
    "yclid": "Yandex Direct",
    "obclid": "Outbrain",
    "dicbo": "Outbrain",
    "tblci": "Taboola",
    "qclid": "Quora",
    "vmcid": "Yahoo",
    "bd_vid": "Baidu",
    "ef_id": "Adobe Advertising",
    "s_kwcid": "Adobe Advertising",
}
# Words of ``utm_medium`` by which campaigns say themselves that they are paid.
_PAID = re.compile(
    r"(?:^|[^a-z])(?:cpc|cpm|cpv|ppc|ppv|sem|retargeting|remarketing)(?:$|[^a-z])"
    r"|(?:^|[^a-z])paid"
)
# What search engines add to addresses that they found by themselves.
_SEARCH_PARAMETERS = {"ysclid": "Yandex", "srsltid": "Google"}
# Only the pages on which people search: a link in somebody's mail or document at the
# same company is none of it.
_ANY_COUNTRY = r"(?:com?\.)?[a-z]{2,3}"
_SEARCH_HOSTS = {
    rf"(?:(?:www|m|cse|images)\.)?google\.{_ANY_COUNTRY}": "Google",
    r"(?:(?:www|m|cn|www2|www4)\.)?bing\.com": "Bing",
    r"(?:(?:www|html|lite|safe|start)\.)?duckduckgo\.com": "DuckDuckGo",
    r"(?:[a-z]{1,3}\.)*search\.yahoo\.(?:com|co\.jp)": "Yahoo",
    rf"(?:(?:www|m)\.)?yandex\.{_ANY_COUNTRY}|(?:www\.)?ya\.ru": "Yandex",
    r"(?:(?:www|m|wap)\.)?baidu\.com": "Baidu",
    r"(?:www\.)?ecosia\.org": "Ecosia",
    r"(?:(?:www|lite)\.)?qwant\.com": "Qwant",
    r"(?:[\w-]+\.)?startpage\.com": "Startpage",
    r"search\.brave\.com": "Brave",
    r"(?:(?:m|[a-z]+)\.)?search\.naver\.com": "Naver",
    r"search\.seznam\.cz": "Seznam",
    r"(?:(?:www|m)\.)?sogou\.com": "Sogou",
    r"(?:(?:www|m)\.)?so\.com": "360 Search",
    r"(?:www\.)?ask\.com": "Ask",
    r"search\.aol\.com": "AOL",
    r"(?:www\.)?kagi\.com": "Kagi",
    r"(?:www\.)?mojeek\.com": "Mojeek",
    r"(?:(?:www|m)\.)?coccoc\.com": "Cốc Cốc",
}
_ENGINES = tuple(_SEARCH_HOSTS.values())
_SEARCH_HOST = re.compile("|".join(f"({host})" for host in _SEARCH_HOSTS))
MAX_AGENT = 512
# Their servers fetch previews under the name that their browsers inside the app have.
_APP = re.compile(r"\b(?:instagram|pinterest|whatsapp)\b\S*", re.IGNORECASE)


def is_ad_parameter(name):
    """Tell whether paid advertising adds a parameter of this name to addresses."""
    return name.lower() in AD_PARAMETERS


def ad_network(query):
    """Return whose advertisement led to an address, "" for none.

    :param dict query: parameters of the address, names in lower case
    """
    for name, network in AD_PARAMETERS.items():
        if query.get(name):
            return network
    medium = query.get("utm_medium", "")
    if not _PAID.search(medium.lower()):
        return ""
    source = query.get("utm_source", "")
    return f"{source} ({medium})" if source else medium


def search_engine(query, referrer):
    """Return the search engine that led to an address, "" for none.

    :param dict query: parameters of the address, names in lower case
    :param str referrer: host of the page before
    """
    for name, engine in _SEARCH_PARAMETERS.items():
        if query.get(name):
            return engine
    found = _SEARCH_HOST.fullmatch(referrer)
    return _ENGINES[found.lastindex - 1] if found else ""


def is_robot(agent):
    """Tell whether a ``User-Agent`` is no browser of a person.

    Nobody's browser is silent about itself. Scanners of mail that call themselves a
    browser are not known by their name.
    """
    agent = (agent or "")[:MAX_AGENT].strip()
    if agent.startswith("Mozilla/") and "Mobile" in agent:
        agent = _APP.sub("", agent)
    return not agent or bool(_APP.search(agent)) or _detector().is_crawler(agent)


@lru_cache(maxsize=1)
def _detector():
    """One a process: it compiles long patterns and remembers the agents it met."""
    return CrawlerDetect()
