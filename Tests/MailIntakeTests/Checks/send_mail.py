"""Sends one mail with an empty return path, by SMTP or LMTP, and prints what the server says."""
import smtplib
import sys

kind, port, recipient, path = sys.argv[1:]
with open(path, "rb") as file:
    mail = file.read()
server = {"SMTP": smtplib.SMTP, "LMTP": smtplib.LMTP}[kind]("127.0.0.1", int(port))
server.ehlo_or_helo_if_needed()
try:
    server.sendmail("", [recipient], mail)
    print("taken")
except smtplib.SMTPException as error:
    print(error)
server.quit()
