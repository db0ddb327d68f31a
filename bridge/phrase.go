package bridge

// phrases are the RFCs' reason phrases.
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
	200: "OK", 202: "Accepted",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small", 423: "Interval Too Brief",
	430: "Flow Failed", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
	483: "Too Many Hops", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
	491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
	503: "Service Unavailable", 504: "Server Time-out", 603: "Decline",
}

// phrase is the RFC's reason phrase of a status.
func phrase(status int) string {
	if text, ok := phrases[status]; ok {
		return text
	}
	switch {
	case status < 200:
		return "Progress"
	case status < 300:
		return "OK"
	case status < 400:
		return "Redirected"
	case status < 500:
		return "Refused"
	case status < 600:
		return "Server Failure"
	}
	return "Refused Everywhere"
}
