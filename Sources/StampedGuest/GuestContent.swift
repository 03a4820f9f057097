/// What a stamped guest fills its pages with, which decides how far they compress.
public enum GuestContent: String, Sendable, CaseIterable {
    /// Bytes without a pattern: nothing compresses them.
    case random
    /// Words of English: a third is left of them.
    case text
    /// Three of four words are zero.
    case sparse

    var rawWord: UInt64 {
        switch self {
        case .random: 0
        case .text: 1
        case .sparse: 2
        }
    }

    init?(rawWord: UInt64) {
        switch rawWord {
        case 0: self = .random
        case 1: self = .text
        case 2: self = .sparse
        default: return nil
        }
    }

    /// Turns 64 random bits into 8 bytes of filler.
    func filler(_ random: UInt64) -> UInt64 {
        switch self {
        case .random: random
        case .text: Self.word(Int(random & 15))
        case .sparse: random & 0x300 == 0 ? random : 0
        }
    }

    /// Sixteen words of eight letters, spaces included, as their bytes.
    private static func word(_ index: Int) -> UInt64 {
        let words: [16 of UInt64] = [
            0x6772_6561_7420_6f61, 0x7468_6520_6861_7262, 0x6f75_7220_776f_726b,
            0x6c65_6176_6573_2061, 0x7265_7475_726e_2074, 0x7769_7468_2061_6e20,
            0x6d65_6d6f_7279_206f, 0x6620_7468_6520_7365, 0x6120_7061_6765_206f,
            0x7468_6174_2077_6173, 0x7772_6974_7465_6e20, 0x6265_666f_7265_2069,
            0x7420_6d6f_7665_6420, 0x746f_2061_6e6f_7468, 0x6572_2068_6f73_7420,
            0x616e_6420_6261_636b,
        ]
        return words[index]
    }
}

/// SplitMix64's step (Steele, Lea and Flood, 2014): 64 bits from 64 others.
func mixed(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
}
