internal import COpenSSL
internal import Glibc
internal import RoostMemory
internal import SystemPackage

/// The library that speaks TLS.
public enum TLSLibrary {
    /// OpenSSL's version at run time, such as `3.0.17`.
    public static var version: String {
        // SAFETY: a constant text.
        unsafe String(cString: OpenSSL_version(OPENSSL_VERSION_STRING))
    }
}

/// What keeps a TLS connection from going on.
struct TLSFault: Error, Equatable, Sendable {
    /// OpenSSL's number for the reason (openssl/sslerr.h), an alert of the peer's among them; 0 for none.
    var reason: Int32 = 0
    /// What is wrong with the peer's certificate (`X509_V_ERR_…` of openssl/x509_vfy.h); 0 for nothing.
    var verification: Int = 0
    /// That in OpenSSL's words.
    var verificationText = ""
    /// What the system says of the connection, where that broke.
    var errno: Errno?
    /// The reason in OpenSSL's words.
    var text = ""
}

/// A certificate (X.509).
@safe
final class TLSCertificate: Sendable {
    // SAFETY (Sendable): OpenSSL counts references atomically, and nothing changes the certificate.
    fileprivate nonisolated(unsafe) let handle: OpaquePointer

    private init(owning handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    /// Reads every certificate of a PEM text.
    ///
    /// - Parameter text: The text.
    /// - Returns: The certificates in their order; none where one cannot be read.
    static func all(inPEM text: [UInt8]) -> [TLSCertificate] {
        unsafe text.withUnsafeBytes { bytes in
            // SAFETY: the source reads the text, which outlives it, and is freed at the end.
            guard let source = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else {
                return []
            }
            defer { unsafe BIO_free(source) }
            var found: [TLSCertificate] = []
            while let handle = unsafe PEM_read_bio_X509(source, nil, nil, nil) {
                found.append(unsafe TLSCertificate(owning: handle))
            }
            // The end of the text is a reason of its own; anything else is damage.
            let reason = ERR_peek_last_error() & 0x7f_ffff
            ERR_clear_error()
            return reason == UInt(PEM_R_NO_START_LINE) ? found : []
        }
    }

    /// How the certificate's time relates to now.
    enum Validity {
        case valid, notYet, expired
    }

    /// Whether it is valid now.
    var validity: Validity {
        // SAFETY: both times belong to the certificate.
        if unsafe X509_cmp_current_time(X509_get0_notAfter(handle)) < 0 { return .expired }
        return unsafe X509_cmp_current_time(X509_get0_notBefore(handle)) > 0 ? .notYet : .valid
    }

    /// What its extendedKeyUsage allows, in bits (`XKU_…`); all where it has none.
    var purposes: UInt32 { unsafe X509_get_extended_key_usage(handle) }

    /// What its keyUsage allows, in bits (`KU_…`); all where it has none.
    var usage: UInt32 { unsafe X509_get_key_usage(handle) }

    deinit {
        unsafe X509_free(handle)
    }
}

/// What connections of one end have in common: its certificate and key, and whom it trusts.
@safe
final class TLSContext: Sendable {
    // SAFETY (Sendable): OpenSSL counts references atomically; only `init` changes the context.
    fileprivate nonisolated(unsafe) let handle: OpaquePointer

    /// Why a context cannot be made.
    enum Obstacle: Error {
        /// The text holds no key without a passphrase.
        case unreadableKey
        /// The key is not that of the certificate.
        case otherKey
        /// OpenSSL refused, or there is no memory.
        case refused
    }

    /// Makes a context for TLS 1.3 with a certificate on either side.
    ///
    /// - Parameters:
    ///   - chain: This host's certificate, then those between it and the authority.
    ///   - key: Its private key, a PEM text.
    ///   - roots: Whom a peer's certificate must be signed by.
    /// - Throws: What is wrong.
    init(
        chain: [TLSCertificate], key: [UInt8], roots: [TLSCertificate]
    ) throws(Obstacle) {
        ERR_clear_error()
        guard let leaf = chain.first, let made = unsafe SSL_CTX_new(TLS_method()) else {
            throw .refused
        }
        unsafe handle = made
        let partialWrites = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        unsafe copenssl_set_mode(handle, Int(partialWrites))
        unsafe copenssl_end_session_cache(handle)
        unsafe copenssl_read_ahead(handle)
        unsafe SSL_CTX_set_default_read_buffer_len(handle, 128 << 10)
        unsafe SSL_CTX_set_verify(
            handle, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        // The cheapest first, of three that are all strong: a tenth cheaper for memory that moves.
        let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        guard unsafe SSL_CTX_set_ciphersuites(handle, suites) == 1 else { throw .refused }
        // Without tickets nothing of a server's lies unread where its client only sends.
        guard unsafe copenssl_allow_only_tls13(handle) == 1,
            unsafe SSL_CTX_set_num_tickets(handle, 0) == 1
        else { throw .refused }
        guard unsafe SSL_CTX_use_certificate(handle, leaf.handle) == 1 else { throw .refused }
        for certificate in chain.dropFirst() {
            guard unsafe copenssl_add_chain_certificate(handle, certificate.handle) == 1 else {
                throw .refused
            }
        }
        // An authority may be one that another has signed.
        unsafe X509_STORE_set_flags(
            SSL_CTX_get_cert_store(handle), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        for root in roots {
            guard unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(handle), root.handle) == 1,
                unsafe SSL_CTX_add_client_CA(handle, root.handle) == 1
            else { throw .refused }
        }
        try use(key: key)
    }

    private func use(key text: [UInt8]) throws(Obstacle) {
        let key: OpaquePointer? = unsafe text.withUnsafeBytes { bytes in
            // SAFETY: the source reads the text, which outlives it, and is freed at the end.
            guard let source = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else {
                return nil
            }
            defer { unsafe BIO_free(source) }
            // Without this a passphrase would be asked for on the terminal.
            return unsafe PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let key = unsafe key else {
            ERR_clear_error()
            throw .unreadableKey
        }
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe SSL_CTX_use_PrivateKey(handle, key) == 1,
            unsafe SSL_CTX_check_private_key(handle) == 1
        else {
            ERR_clear_error()
            throw .otherKey
        }
    }

    deinit {
        unsafe SSL_CTX_free(handle)
    }
}

/// One TLS connection over a socket that does not block; used by one thread at a time.
///
/// No call waits: what cannot go on says what it waits for.
@safe
struct TLSSession: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): owned by one value, which one thread uses at a time.
    private let handle: OpaquePointer
    /// What came right behind the bytes that were read last: a failure is told once.
    private var next: Step?

    /// How far a call got.
    enum Step: Equatable {
        /// So many bytes, or a step that has none is done.
        case done(Int)
        /// The socket has to be readable first.
        case wantsInput
        /// The socket has to be writable first.
        case wantsOutput
        /// The peer has said that it sends no more (close_notify).
        case ended
        case failed(TLSFault)
    }

    /// Begins a connection as its client.
    ///
    /// - Parameters:
    ///   - context: Who we are, and whom we trust.
    ///   - descriptor: The connected socket, which stays its owner's and must outlive the session.
    ///   - host: The name or address that the peer's certificate must carry (RFC 6125).
    /// - Returns: The session.
    /// - Throws: `TLSFault` when there is no memory, or the name is none.
    static func client(
        _ context: TLSContext, over descriptor: FileDescriptor, to host: String
    ) throws(TLSFault) -> TLSSession {
        let session = try make(context, descriptor)
        unsafe SSL_set_connect_state(session.handle)
        let parameters = unsafe SSL_get0_param(session.handle)
        // Only names of subjectAltName count, not the subject's own.
        unsafe X509_VERIFY_PARAM_set_hostflags(
            parameters, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
        if unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1 { return session }
        ERR_clear_error()
        guard unsafe SSL_set1_host(session.handle, host) == 1,
            unsafe copenssl_name_server(session.handle, host) == 1
        else { throw libraryFault(0) }
        return session
    }

    /// Begins a connection as its server.
    ///
    /// - Parameters:
    ///   - context: Who we are, and whom we trust.
    ///   - descriptor: The accepted socket, which stays its owner's and must outlive the session.
    /// - Returns: The session.
    /// - Throws: `TLSFault` when there is no memory.
    static func server(
        _ context: TLSContext, over descriptor: FileDescriptor
    ) throws(TLSFault) -> TLSSession {
        let session = try make(context, descriptor)
        unsafe SSL_set_accept_state(session.handle)
        return session
    }

    private init(owning handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    private static func make(
        _ context: TLSContext, _ descriptor: FileDescriptor
    ) throws(TLSFault) -> TLSSession {
        ERR_clear_error()
        guard let made = unsafe SSL_new(context.handle) else { throw libraryFault(0) }
        let session = unsafe TLSSession(owning: made)
        guard unsafe SSL_set_fd(session.handle, descriptor.rawValue) == 1 else {
            throw libraryFault(0)
        }
        return session
    }

    /// Goes on with the handshake, which is over at `done`.
    ///
    /// - Returns: How far it got.
    func shakeHands() -> Step {
        ERR_clear_error()
        return step(unsafe SSL_do_handshake(handle))
    }

    /// Reads as much as has come, up to a queue's room.
    ///
    /// - Parameter queue: Where it goes, behind what waits there; must have room.
    /// - Returns: How many bytes came, or why none did.
    mutating func read(into queue: inout ByteQueue) -> Step {
        if let next = next.take() { return next }
        ERR_clear_error()
        var result = Step.wantsInput
        let count = queue.append(upTo: queue.room) { span in
            var total = 0
            while total < span.byteCount {
                var count = 0
                let read = unsafe span.withUnsafeMutableBytes { bytes in
                    // SAFETY: what is left of the span from a place in it, held for the call.
                    unsafe SSL_read_ex(
                        handle, bytes.baseAddress.map { unsafe $0 + total }, bytes.count - total,
                        &count)
                }
                guard read == 1 else {
                    result = step(read)
                    break
                }
                total += count
            }
            return total
        }
        guard count > 0 else { return result }
        switch result {
        case .ended, .failed: next = result
        case .done, .wantsInput, .wantsOutput: break
        }
        return .done(count)
    }

    /// Sends bytes: as many as the socket takes.
    ///
    /// - Parameter bytes: At least one; after another answer than `done` the next call begins with the
    ///   same.
    /// - Returns: How many were sent, or why none were.
    func write(_ bytes: RawSpan) -> Step {
        ERR_clear_error()
        var count = 0
        let written = unsafe bytes.withUnsafeBytes { source in
            // SAFETY: the span's bytes, alive for the call.
            unsafe SSL_write_ex(handle, source.baseAddress, source.count, &count)
        }
        return written == 1 ? .done(count) : step(written)
    }

    /// Says that nothing more is sent (close_notify); the peer may go on.
    ///
    /// - Returns: Whether that was said.
    func endSending() -> Step {
        ERR_clear_error()
        let result = unsafe SSL_shutdown(handle)
        return result >= 0 ? .done(0) : step(result)
    }

    private func step(_ result: Int32) -> Step {
        if result > 0 { return .done(0) }
        let failure = errno
        switch unsafe SSL_get_error(handle, result) {
        case SSL_ERROR_WANT_READ: return .wantsInput
        case SSL_ERROR_WANT_WRITE: return .wantsOutput
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL where ERR_peek_error() == 0:
            return .failed(TLSFault(errno: failure == 0 ? nil : Errno(rawValue: failure)))
        default: return .failed(Self.libraryFault(unsafe SSL_get_verify_result(handle)))
        }
    }

    private static func libraryFault(_ verification: Int) -> TLSFault {
        let code = ERR_get_error()
        ERR_clear_error()
        // SAFETY: a constant text, or nothing.
        let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
        // The lowest 23 bits; a reason of the system's has another place (openssl/err.h).
        let isSystem = code & 0x8000_0000 != 0
        // Other parts of OpenSSL number their reasons alike.
        let isOfTLS = !isSystem && code >> 23 & 0xff == UInt(ERR_LIB_SSL)
        return TLSFault(
            reason: isOfTLS ? Int32(truncatingIfNeeded: code & 0x7f_ffff) : 0,
            verification: verification,
            // SAFETY: a constant text.
            verificationText: unsafe String(cString: X509_verify_cert_error_string(verification)),
            errno: isSystem ? Errno(rawValue: Int32(truncatingIfNeeded: code & 0x7fff_ffff)) : nil,
            text: text ?? "")
    }

    deinit {
        unsafe SSL_free(handle)
    }
}
