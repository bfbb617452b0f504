/// Our client with a window carries short messages.

package import SMPPTransport

extension SMPPClient: SMSSubmitting {}
