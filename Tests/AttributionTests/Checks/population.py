"""People and machines that open and click, as they are seen at the edge, each with who it really was.

Written from what vendors and senders publish of the machines' behaviour, without a look at the rules that judge it.
Writes one decision a line: {"sent": ms, "sightings": [{"kind", "link", "hidden", "method", "at", "agent", "network",
"truth"}]}. The seed is fixed.
"""
import json
import random

DECISIONS = 12000
random.seed(20261121)

BROWSERS = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
]
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
SCANNERS = [
    "Mozilla/5.0 (compatible; BarracudaCentral/1.0)", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "python-requests/2.32.3", "Mimecast-URL-Protect/2.1", "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
    "Go-http-client/1.1", "",
]
SCANNER_NETWORKS = ["40.94.103.0/24", "148.163.145.0/24", "170.10.129.0/24", "209.222.82.0/24", "52.34.76.0/24", "18.193.40.0/24", "20.112.52.0/24", "34.86.12.0/24"]
PREVIEWS = [
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "WhatsApp/2.24.20.88 A", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "TelegramBot (like TwitterBot)",
]
RELAYS = ["172.225.31.0/24", "104.28.45.0/24", "146.75.168.0/24", "17.58.101.0/24", "2a02:26f7:c9c8::/48"]


def home():
    if random.random() < 0.15:
        return f"2003:{random.randrange(1, 0xffff):x}:{random.randrange(1, 0xffff):x}::/48"
    return f"{random.choice([79, 84, 91, 93, 109, 176, 213])}.{random.randrange(256)}.{random.randrange(256)}.0/24"


def delay(median, sigma):
    """In milliseconds."""
    return int(1000 * median * random.lognormvariate(0, sigma))


class Decision:
    def __init__(self):
        self.sent = 1_795_000_000_000 + random.randrange(10**9)
        self.links = random.randint(1, 7)
        self.sightings = []

    def see(self, truth, kind, at, agent, network, link=None, hidden=False, method="GET"):
        self.sightings.append({"kind": kind, "link": link, "hidden": hidden, "method": method, "at": at,
                               "agent": agent, "network": network, "truth": truth})

    def person(self, opens, clicks, picture=None):
        """Reads, and perhaps clicks. `picture`: who fetches the pixel instead, as (agent, network); False: nobody."""
        if random.random() > opens:
            return
        agent = random.choice(BROWSERS)
        if random.random() < 0.02:
            agent = random.choice(["", "MyReader/3.1", "Mozilla/5.0 (compatible)"])
        network = home()
        if random.random() < 0.05:  # a VPN that leaves a rented computer
            network = random.choice(["159.89.12.0/24", "52.57.11.0/24", "138.197.4.0/24"])
        opened = self.sent + 3000 + delay(2700, 1.7)
        if random.random() < 0.04:  # the mail was waited for
            opened = self.sent + random.randint(4000, 40000)
        if picture is None:
            self.see("human", "open", opened, agent, network)
        elif picture:
            self.see("human", "open", opened, *picture)
        if random.random() > clicks:
            return
        at = opened + 1500 + delay(14, 0.9)
        if random.random() < 0.2:  # reads on the phone, clicks at the desk
            agent, network = random.choice(BROWSERS), home()
            at += delay(3600, 1.2)
        for _ in range(random.choices([1, 2, 3], [75, 20, 5])[0]):
            self.see("human", "click", at, agent, network, link=random.randrange(self.links))
            at += random.randint(2500, 180_000)
        if random.random() < 0.15:
            self.see("human", "click", at + delay(7200, 1), agent, network, link=random.randrange(self.links))
        if random.random() < 0.02:
            self.see("human", "page", at + 5000, agent, network)

    def gateway(self):
        style = random.random()
        agent, network = random.choice(BROWSERS), home()
        if style < 0.4:
            agent = random.choice(SCANNERS)
        if 0.25 < style < 0.75:
            network = random.choice(SCANNER_NETWORKS)
        at = self.sent + 500 + delay(6, 1.1)
        if random.random() < 0.5:
            self.see("gateway", "open", at + random.randint(-300, 800), agent, network)
        everything = random.random() < 0.7
        links = list(range(self.links)) if everything else random.sample(range(self.links), min(self.links, random.randint(1, 2)))
        head = random.random() < 0.3
        for link in links:
            other = random.choice(SCANNER_NETWORKS) if random.random() < 0.1 else network
            if head:
                self.see("gateway", "click", at, agent, other, link=link, method="HEAD")
                at += random.randint(20, 200)
            self.see("gateway", "click", at, agent, other, link=link)
            at += random.randint(5, 450)
        if everything and random.random() < 0.65:
            self.see("gateway", "click", at, agent, network, link=99, hidden=True)
        if everything and random.random() < 0.5:
            self.see("gateway", "page", at + 50, agent, network)
        if random.random() < 0.1:  # looks again later
            self.see("gateway", "click", at + delay(1800, 0.8), agent, random.choice(SCANNER_NETWORKS), link=links[0])

    def privacy_proxy(self):
        if random.random() < 0.9:
            self.see("privacy_proxy", "open", self.sent + 2000 + delay(1200, 2), "Mozilla/5.0", random.choice(RELAYS))

    def preview(self):
        agent = random.choice(PREVIEWS)
        at = self.sent + 800 + delay(5, 1)
        for link in range(min(self.links, 2)):
            self.see("prefetcher", "click", at, agent, home() if "Macintosh" in agent else "173.252.83.0/24", link=link)
            at += random.randint(50, 400)


for _ in range(DECISIONS):
    decision = Decision()
    kind = random.random()
    if kind < 0.25:
        decision.person(0.35, 0.4)
    elif kind < 0.5:
        if random.random() < 0.03:
            decision.see("gateway", "open", decision.sent + delay(1, 0.5), GMAIL, "66.249.93.0/24")
        decision.person(0.35, 0.4, random.choice([(GMAIL, "66.249.84.0/24"), (GMAIL, "74.125.210.0/24"), (YAHOO, "98.137.12.0/24")]))
    elif kind < 0.7:
        decision.privacy_proxy()
        decision.person(0.35, 0.4, False)
    elif kind < 0.88:
        decision.gateway()
        decision.person(0.35, 0.35)
    else:
        decision.links = 1
        if random.random() < 0.5:
            decision.preview()
        decision.person(0.3, 1, False)
    random.shuffle(decision.sightings)
    print(json.dumps({"sent": decision.sent, "sightings": decision.sightings}))
