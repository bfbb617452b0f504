import Testing

@testable import CurlTransport

/// Where requests whose URL came from outside may go.
@Suite struct PublicAddressTests {
    @Test(arguments: [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "255.255.255.255", "::",
        "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "fe80::1%eth0", "fc00::1",
        "fd12::1", "ff02::1", "2001::1", "2001:db8::1", "3fff::1", "localhost", "", "1.2.3", "0x7f.1",
    ])
    func isPrivate(address: String) {
        #expect(!PublicAddress.contains(text: address))
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1",
        "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888",
    ])
    func isPublic(address: String) {
        #expect(PublicAddress.contains(text: address))
    }
}
