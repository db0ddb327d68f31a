package wss

// Resting says whether the connection has no reading goroutine.
func (c *Conn) Resting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked
}
