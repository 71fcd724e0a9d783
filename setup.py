"""The description and the addresses that a package index shows; all else is in pyproject.toml."""

import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from setuptools import setup

URL = ""
"""Address of the repository, without a slash at the end. Whoever publishes the project sets it; all links follow."""

_CODE_OR_LINK = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)|`[^`]+`"
    r"|(?P<mark>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<path>[^()\s]+)(?P<title>\s+\"[^\"]*\")?\)",
    re.MULTILINE | re.DOTALL,
)


def description(readme: str, url: str) -> str:
    """Make the relative links and pictures of a README in Markdown absolute; without a url, keep only the links' text.

    Code stays as it is. Links in HTML and links by reference are not known here.
    """

    def resolved(match: re.Match[str]) -> str:
        if match["path"] is None:
            return match[0]
        kind, text = "raw" if match["mark"] else "blob", description(match["text"], url)
        address = urljoin(f"{url}/{kind}/HEAD/README.md" if url else "", match["path"])
        if urlsplit(address).scheme:
            return f"{match['mark']}[{text}]({address}{match['title'] or ''})"
        return "" if match["mark"] else text

    return _CODE_OR_LINK.sub(resolved, readme)


if __name__ == "__main__":
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    pages = {"Source": "", "Docs": "/tree/HEAD/docs", "Changelog": "/blob/HEAD/CHANGELOG.md", "Issues": "/issues"}
    setup(
        long_description=description(readme, URL),
        long_description_content_type="text/markdown",
        project_urls={label: URL + page for label, page in pages.items() if URL},
    )
