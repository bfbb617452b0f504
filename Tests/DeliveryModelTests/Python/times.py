"""For each number of milliseconds since 1970 writes the time as RFC 3339, by Python's own calendar."""
import datetime
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
for line in sys.stdin:
    moment = EPOCH + datetime.timedelta(milliseconds=int(line))
    print(moment.strftime("%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z", f"{moment.year:04}")
