/// libcurl carries SMS and push.

package import CurlTransport

extension CurlTransport: HTTPExchanging {}
