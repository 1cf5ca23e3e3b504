package wire

import "strconv"

// statusLines holds "HTTP/1.1 200 OK\r\n" for every status with a known reason
// phrase, "" for the others.
var statusLines = makeStatusLines()

func makeStatusLines() (t [512]string) {
	for status, reason := range map[int]string{
		// RFC 9110, 15, and the registry where it names another document.
		100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
		200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information",
		204: "No Content", 205: "Reset Content", 206: "Partial Content",
		207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
		300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
		304: "Not Modified", 305: "Use Proxy", 307: "Temporary Redirect", 308: "Permanent Redirect",
		400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
		404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
		407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict",
		410: "Gone", 411: "Length Required", 412: "Precondition Failed",
		413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
		416: "Range Not Satisfiable", 417: "Expectation Failed", 418: "I'm a Teapot",
		421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked",
		424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
		428: "Precondition Required", 429: "Too Many Requests",
		431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
		500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
		503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
		506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected",
		510: "Not Extended", 511: "Network Authentication Required",
	} {
		t[status] = "HTTP/1.1 " + strconv.Itoa(status) + " " + reason + "\r\n"
	}
	return t
}

// appendStatusLine appends the status line. The version is the server's own,
// whatever the client's (RFC 9110, 2.5). An unknown status has an empty reason
// phrase (RFC 9112, 4).
func appendStatusLine(dst []byte, status int) []byte {
	if status >= 0 && status < len(statusLines) {
		if line := statusLines[status]; line != "" {
			return append(dst, line...)
		}
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	return append(dst, " \r\n"...)
}
