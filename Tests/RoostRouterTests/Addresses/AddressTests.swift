@testable import RoostRouter
import Testing

@Suite("Addresses")
struct AddressTests {
    @Test(
        "an IPv6 address is read in any form and written in the canonical one",
        arguments: [
            ("::", "::"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("fe80::1:0:0:1", "fe80::1:0:0:1"),
        ])
    func canonical(text: String, expected: String) throws {
        #expect(try #require(IPv6Address(text)).description == expected)
    }

    @Test(
        "what is no address is refused",
        arguments: ["", "1.2.3", "1.2.3.256", "1.2.3.4 ", "01.2.3.4", ":::", "2001:db8::1%eth0"])
    func refusal(text: String) {
        #expect(IPv4Address(text) == nil)
        #expect(IPv6Address(text) == nil)
    }

    @Test(
        "a prefix has no bits past its length",
        arguments: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "/8"])
    func prefixRefusal(text: String) {
        #expect(IPv4Prefix(text) == nil)
    }

    @Test("bits are counted from the highest, and those past the end are 0")
    func bits() throws {
        let four = try #require(IPv4Address("192.0.2.1"))
        #expect(four.bits(from: 0, count: 8) == 192)
        #expect(four.bits(from: 30, count: 6) == 0b010000)
        #expect(four.bits(from: 32, count: 6) == 0)
        let six = try #require(IPv6Address("2001:db8::1"))
        #expect(six.bits(from: 0, count: 32) == 0x2001_0db8)
        #expect(six.bits(from: 60, count: 6) == 0)
        #expect(six.bits(from: 126, count: 6) == 0b010000)
        #expect(six.bits(from: 128, count: 6) == 0)
    }

    @Test("every length masks and compares", arguments: 0...128)
    func lengths(length: Int) throws {
        let ones = IPv6Address(high: .max, low: .max)
        let masked = ones.masked(to: length)
        #expect(masked.high.nonzeroBitCount + masked.low.nonzeroBitCount == length)
        #expect(masked.commonBitCount(with: ones) == length)
        #expect(Prefix(ones, length: length).contains(ones))
        if length <= 32 {
            let four = IPv4Address.limitedBroadcast.masked(to: length)
            #expect(four.rawValue.nonzeroBitCount == length)
            #expect(four.commonBitCount(with: .limitedBroadcast) == length)
        }
    }

    @Test("a link-layer address is read and written", arguments: ["02:00:5e:10:00:ff"])
    func linkAddress(text: String) throws {
        let address = try #require(MACAddress(text))
        #expect(address.description == text)
        #expect(!address.isMulticast)
        #expect(MACAddress("02:00:5e:10:00") == nil)
        #expect(MACAddress("02:00:5e:10:00:+f") == nil)
    }
}
