// Package reactor is the transport for plaintext HTTP/1.1 on Linux: one epoll
// descriptor that the application's own loop watches, and no thread of its own,
// but for forms whose files go to disk.
//
// The loop's thread calls Turn, which accepts, reads, parses and hands out
// exchanges, and at the end of its own turn Flush, which writes. Call threads
// call Flush for their exchanges. Steady state is one read and one write per
// request and not one allocation.
//
// Every connection is added to epoll once, edge-triggered for everything, and
// never changed: what its edges said is kept in the connection. So a client
// that sends on while its handler runs makes no loop spin, and nobody re-arms
// anything after an answer.
//
// Locks: conn.mu guards a connection, its descriptor and the conn field of its
// exchange. The loop's thread takes it for a step, Flush for one exchange. Before
// it Close and who gives a connection back from writing files take ending.
// After it only leaves may be taken: the return queue's, the pools', the
// waker's and the log's.
//
// On other systems the package is empty.
package reactor
