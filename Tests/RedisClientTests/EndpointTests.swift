// URLs in, endpoints or sentences out.
import RedisClient
import Testing

struct EndpointTests {
    @Test(arguments: [
        ("redis://localhost", RedisEndpoint(.tcp(host: "localhost", port: 6379))),
        ("redis://10.0.0.1:7000/3", RedisEndpoint(.tcp(host: "10.0.0.1", port: 7000), database: 3)),
        ("redis://h/", RedisEndpoint(.tcp(host: "h", port: 6379))),
        ("REDIS://[::1]:1", RedisEndpoint(.tcp(host: "::1", port: 1))),
        ("redis://[2001:db8::1]", RedisEndpoint(.tcp(host: "2001:db8::1", port: 6379))),
        ("redis://:pw@h", RedisEndpoint(.tcp(host: "h", port: 6379), password: "pw")),
        ("redis://u:p%40%3a%2F%C5%BC@h:1", RedisEndpoint(.tcp(host: "h", port: 1), user: "u", password: "p@:/ż")),
        ("redis://u:a:b@c@h", RedisEndpoint(.tcp(host: "h", port: 6379), user: "u", password: "a:b@c")),
        ("rediss://h", RedisEndpoint(.tls(host: "h", port: 6379, trustFile: nil))),
        (
            "rediss://:p@h:7/2?trust=/etc/my%20ca.pem",
            RedisEndpoint(.tls(host: "h", port: 7, trustFile: "/etc/my ca.pem"), password: "p", database: 2)
        ),
        ("unix:///run/redis.sock", RedisEndpoint(.unix(path: "/run/redis.sock"))),
        ("unix://u:p@/run/r?db=4", RedisEndpoint(.unix(path: "/run/r"), user: "u", password: "p", database: 4)),
    ])
    func `a good URL is understood`(url: String, expected: RedisEndpoint) throws {
        #expect(try RedisEndpoint(url: url) == expected)
    }

    @Test(arguments: [
        ("", "begin with"), ("localhost:6379", "begin with"), ("http://:hunter2@h", "begin with"),
        ("redis://", "host"), ("redis://:hunter2@", "host"), ("redis://h:", "port"), ("redis://h:0", "port"),
        ("redis://h:65536", "port"), ("redis://:hunter2@h:x", "port"), ("redis://h:+1", "port"),
        ("redis://hunter2@h", "user:password@"), ("redis://u:@h", "password is empty"), ("redis://h/x", "database"),
        ("redis://h/-1", "database"), ("redis://h/1/2", "database"), ("redis://:hunter%2@h", "percent"),
        ("redis://:hunter2%ff@h", "percent"), ("redis://:hun?ter2@h", "percent"), ("redis://:hun/ter2@h", "%2F"),
        ("redis://:hun#ter2@h", "%23"), ("redis://:hun ter2@h", "space"), ("redis://h\r\nFLUSHALL", "control"),
        ("redis://h?trust=f", "rediss"), ("redis://h?db=1", "path"), ("rediss://h?trust", "trust=FILE"),
        ("rediss://h?trust=", "trust"), ("rediss://h?verify=no", "trust=FILE"), ("redis://[::1", "IPv6"),
        ("redis://[::1]6379", "colon"), ("redis://::1:6379", "host"), ("unix://run/r", "unix:///"),
        ("unix:///", "unix:///"), ("unix:///r?trust=f", "rediss"),
    ])
    func `a bad URL is refused with a reason and without its password`(url: String, reason: String) async throws {
        let error = try await redisError { () throws(RedisError) in _ = try RedisEndpoint(url: url) }
        #expect(error.code == .settings)
        #expect(error.detail.contains(reason), "\(error.detail)")
        for word in ["hunter", "hun", "ter2"] { #expect(!"\(error)".contains(word)) }
    }

    @Test func `no way of printing an endpoint shows the credentials`() throws {
        for url in ["redis://alice:hunter2@h:1/2", "rediss://alice:hunter2@h", "unix://alice:hunter2@/r"] {
            let endpoint = try RedisEndpoint(url: url)
            var dumped = ""
            dump(endpoint, to: &dumped)
            for text in ["\(endpoint)", String(reflecting: endpoint), String(describing: [endpoint]), dumped] {
                #expect(!text.contains("hunter2") && !text.contains("alice"))
            }
        }
        #expect(try RedisEndpoint(url: "redis://a:b@h:1/2").description == "redis://h:1/2")
    }
}
