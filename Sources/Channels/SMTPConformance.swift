/// Our pipelining client carries mail.

package import SMTPTransport

extension SMTPClient: MailSending {}
