/// Requests and a response as a C compiler lays them out.
///
/// They were made from Xen's own header `xen/io/blkif.h` (Debian's libxen-dev 4.17.7): a constant
/// initializer for each, compiled by gcc 12 with `-ffreestanding`, once with `-m64` and once with
/// `-m32`, and its bytes taken from the object file with objcopy. Zeros at the end are left out.
enum GoldenSlots {
    /// By name, in the layout of 64-bit machines.
    static let wide: [String: String] = [
        "read":
            "000100ca000000008877665544332211080706050403020100c0b0a00007",
        "write":
            "010b01ca000000008977665544332211090706050403020100c0b0a000070000"
            + "01c0b0a00107000002c0b0a00207000003c0b0a00307000004c0b0a004070000"
            + "05c0b0a00507000006c0b0a00607000007c0b0a00707000008c0b0a000070000"
            + "09c0b0a0010700000ac0b0a00207",
        "barrier":
            "020302ca000000008a776655443322110a0706050403020100c0b0a000070000"
            + "01c0b0a00107000002c0b0a00207",
        "flush":
            "030003ca000000008b77665544332211",
        "discard":
            "050110ca00000000112233445566778890785634120000001032547698badcfe",
        "indirect":
            "06010010000000000df0fecaefbeadde21436587a9cbed0f20ca000004030201"
            + "080604020c090603100c0804140f0a0518120c061c150e0720181008",
        "response":
            "88776655443322110100feff",
    ]

    /// By name, in the layout of 32-bit machines.
    static let narrow: [String: String] = [
        "read":
            "000100ca8877665544332211080706050403020100c0b0a00007",
        "write":
            "010b01ca8977665544332211090706050403020100c0b0a00007000001c0b0a0"
            + "0107000002c0b0a00207000003c0b0a00307000004c0b0a00407000005c0b0a0"
            + "0507000006c0b0a00607000007c0b0a00707000008c0b0a00007000009c0b0a0"
            + "010700000ac0b0a00207",
        "barrier":
            "020302ca8a776655443322110a0706050403020100c0b0a00007000001c0b0a0"
            + "0107000002c0b0a00207",
        "flush":
            "030003ca8b77665544332211",
        "discard":
            "050110ca112233445566778890785634120000001032547698badcfe",
        "indirect":
            "060100100df0fecaefbeadde21436587a9cbed0f20ca00000403020108060402"
            + "0c090603100c0804140f0a0518120c061c150e0720181008",
        "response":
            "88776655443322110100feff",
    ]
}
