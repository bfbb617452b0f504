"""Reads pages with Python's HTML parser and says what is wrong with them."""
import base64
import hashlib
import json
import sys
from html.parser import HTMLParser

VOID = {"meta", "input"}
KNOWN = {"html", "head", "meta", "title", "style", "body", "main", "h1", "p", "bdi", "form", "button", "fieldset",
         "legend", "label", "input"}
ATTRIBUTES = {"lang", "charset", "name", "content", "method", "class", "value", "type", "checked", "role"}
EVIL = "<script>alert(1)</script>\"'&amp; </title> ż %@"


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.texts, self.seen, self.inputs = [], [], {}, [], []
        self.feed(html)
        self.close()
        if self.open:
            self.problems.append(f"left open: {self.open}")

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in KNOWN or any(name not in ATTRIBUTES for name, _ in attributes):
            self.problems.append(f"not expected: {tag} {attributes}")
        if tag == "input" and "label" not in self.open:
            self.problems.append("a box without a label")
        if tag == "button" and "form" not in self.open:
            self.problems.append("a button without a form")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"closed at the wrong place: {tag}")

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag] = self.texts.get(tag, "") + data


texts = {}
count = 0
for line in sys.stdin.buffer.read().splitlines():
    given = json.loads(line)
    page = Page(given["html"])
    problems = page.problems
    style = base64.b64encode(hashlib.sha256(page.texts["style"].encode()).digest()).decode()
    if f"style-src 'sha256-{style}'" not in given["policy"] or "script-src" in given["policy"]:
        problems.append("the policy does not allow the style, or allows a script")
    if not given["html"].startswith("<!doctype html>\n") or page.seen[0] != ("html", {"lang": given["language"]}):
        problems.append("no doctype or language")
    if [tag for tag, _ in page.seen].count("h1") != 1 or not page.texts.get("title", "").strip():
        problems.append("no heading or title")
    forms = [attributes for tag, attributes in page.seen if tag == "form"]
    choices = [attributes["value"] for tag, attributes in page.seen if tag == "button"]
    if any(form != {"method": "post"} for form in forms):
        problems.append("a form that does not post to its own page")
    if given["name"] == "asking" and choices not in (["topic", "all", "topics"], ["all"]):
        problems.append(f"choices: {choices}")
    if given["name"] != "asking" and choices:
        problems.append("buttons where nothing is asked")
    if "bdi" in page.texts and EVIL not in page.texts["bdi"]:
        problems.append("the name of the topic is not there as it is")
    boxes = [attributes for tag, attributes in page.seen if tag == "input"]
    if boxes and [(box["value"], "checked" in box) for box in boxes] != [("offers", True), ("a\"><script>", False)]:
        problems.append(f"boxes: {boxes}")
    for problem in problems:
        print(given["language"], given["name"], problem)
    texts.setdefault(given["language"], []).append(page.texts["main"])
    count += 1
# Each language has words of its own: no page is the same in two.
for place in range(len(texts["en"])):
    if len({pages[place] for pages in texts.values()}) != len(texts):
        print("two languages share page", place)
print(f"{count} pages, {len(texts)} languages")
