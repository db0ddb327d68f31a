package transaction

// Parse reads one whole message (a datagram or a WebSocket message): first line, headers, body. A missing Content-Length
// means the rest of data (RFC 3261 §18.3, RFC 7118); a Content-Length beyond data is an error; less cuts the body.
// Errors name what is wrong; where err is not nil and the message is a request whose headers could be read,
// msg is still set so that the door can answer 400 with a Reason.
func Parse(data []byte) (msg Message, err error) { panic("skeleton") }

// Append writes the message's wire form behind dst; requestURI replaces the Recipient of a request where not empty.
func Append(dst []byte, msg Message) []byte { panic("skeleton") }
