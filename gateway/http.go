package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Time limits of the browsers' listener. The first bounds a proxy's header, the TLS handshake and the HTTP header together, each
// connection on its own goroutine; WebSocket libraries wait 5 s for the upgrade. The second bounds a body that nobody wants. None of
// them holds for a WebSocket, which wss takes over.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
)

// webSocket is a listener of the browsers, open and not served yet.
type webSocket struct {
	net.Listener
	at WebListen // port 0 resolved
}

// listenWeb opens the browsers' listeners; on an error what was opened is closed.
func listenWeb(listen []WebListen) ([]webSocket, error) {
	var sockets []webSocket
	for _, l := range listen {
		listener, err := net.Listen("tcp", l.Addr.String())
		if err != nil {
			closeWeb(sockets)
			return nil, fmt.Errorf("gateway: https.listen: %w", err)
		}
		at := WebListen{Plain: l.Plain, Addr: listener.Addr().(*net.TCPAddr).AddrPort()}
		sockets = append(sockets, webSocket{listener, at})
	}
	return sockets, nil
}

func closeWeb(sockets []webSocket) {
	for _, s := range sockets {
		s.Close()
	}
}

// secureAddrs are the addresses of the listeners with TLS.
func secureAddrs(sockets []webSocket) []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range sockets {
		if !s.at.Plain {
			list = append(list, s.at.Addr)
		}
	}
	return list
}

// webServer is the browsers' listeners with one HTTP server on all of them.
type webServer struct {
	server    *http.Server
	listeners []net.Listener
	urls      []string // https://ADDRESS:PORT, port 0 resolved; in the order of the configuration
}

// openWeb puts an HTTP server on the listeners. On those with TLS, connections that are for another go to that one's door.
func openWeb(sockets []webSocket, front *front, secure *tls.Config, handler http.Handler, doors doors, log *slog.Logger) *webServer {
	w := &webServer{server: newHTTPServer(seen(front, handler), log)}
	w.server.ConnContext, w.server.ConnState = keepConn, noteState
	for _, s := range sockets {
		from := frontListener{s.Listener, front}
		if !s.at.Plain {
			w.listeners = append(w.listeners, secureListener{sharedListener{from, doors.ice}, secure, doors.relay})
		} else {
			w.listeners = append(w.listeners, from)
			if !s.at.Addr.Addr().IsLoopback() {
				log.Warn("plain HTTP: browsers give a page no microphone but on a loopback address or behind a load balancer with TLS", "listen", s.at)
			}
		}
		w.urls = append(w.urls, s.at.String())
	}
	return w
}

func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // refused handshakes: anybody can cause them
	}
}

// serve answers on all listeners until close or shutdown; the error of the first listener that fails, else nil.
func (w *webServer) serve() error {
	failed := make([]error, len(w.listeners))
	var running sync.WaitGroup
	for i, l := range w.listeners {
		running.Go(func() {
			if err := w.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed[i] = fmt.Errorf("gateway: %s: %w", w.urls[i], err)
				w.server.Close()
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// shutdown closes the listeners and lets running answers end until ctx is done. WebSockets belong to wss.
func (w *webServer) shutdown(ctx context.Context) error {
	err := w.server.Shutdown(ctx)
	w.close()
	return err
}

// close closes everything at once; also the listeners that were never served. Safe to call twice.
func (w *webServer) close() {
	w.server.Close()
	for _, l := range w.listeners {
		l.Close()
	}
}

// reachable puts this machine's first global address in the place of an unspecified one.
func reachable(addr netip.Addr) netip.Addr {
	if !addr.IsUnspecified() {
		return addr
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr()
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
