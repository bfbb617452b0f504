// What a simulator remembers: the newest messages in a ring, and counters that never forget.
//
// Under load the ring would be the dearest part of a request, so `keepsMessages: false` leaves the counting only.

package import DeliveryModel

/// The totals of one simulator since it started or was emptied.
package struct SimulatorCounts: Sendable, Hashable {
    /// Requests that came in whole.
    package var requests = 0
    /// Messages taken: each counts once, however often it was repeated under one idempotency token.
    package var accepted = 0
    /// Requests that repeated the idempotency token of a message already taken.
    package var repeats = 0
    /// Requests answered with an error.
    package var refused = 0
    /// Lines cut on purpose.
    package var cut = 0
    /// Requests left hanging on purpose.
    package var stalled = 0
    /// How often each error code of the provider was answered.
    package var errors: [String: Int] = [:]

    package init() {}
}

/// A received message as the control API and the inbox page show it.
package struct InboxEntry: Sendable, Hashable {
    package var id: String
    package var receivedAt: Timestamp
    package var from: String
    package var to: String
    package var subject: String
    /// The text to read; the page shortens it.
    package var text: String
    /// A mail's HTML, shown in a sandboxed frame only.
    package var html: String?
    /// What else was received, for JSON only.
    package var fields: JSONObject

    package init(
        id: String, receivedAt: Timestamp, from: String, to: String, subject: String, text: String, html: String? = nil,
        fields: JSONObject = JSONObject()
    ) {
        self.id = id
        self.receivedAt = receivedAt
        self.from = from
        self.to = to
        self.subject = subject
        self.text = text
        self.html = html
        self.fields = fields
    }
}

/// The newest `capacity` elements.
struct Ring<Element> {
    let capacity: Int
    private var elements: [Element] = []
    private var oldest = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    var count: Int { self.elements.count }

    /// Adds an element; returns the one that had to leave for it.
    @discardableResult
    mutating func append(_ element: Element) -> Element? {
        guard self.elements.count == self.capacity else {
            self.elements.append(element)
            return nil
        }
        let leaving = self.elements[self.oldest]
        self.elements[self.oldest] = element
        self.oldest = (self.oldest + 1) % self.capacity
        return leaving
    }

    /// Up to `limit` elements, the newest first.
    func newest(_ limit: Int) -> [Element] {
        (0..<max(0, min(limit, self.elements.count))).map { age in
            self.elements[(self.oldest + self.elements.count - 1 - age) % self.elements.count]
        }
    }

    mutating func removeAll() {
        self.elements.removeAll()
        self.oldest = 0
    }
}

extension Ring: Sendable where Element: Sendable {}
