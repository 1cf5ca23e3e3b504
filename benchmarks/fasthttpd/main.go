// Command fasthttpd answers every request with the JSON that the Python servers answer, without any Python: what
// Go's HTTP costs by itself.
//
//	fasthttpd 127.0.0.1:8000
package main

import (
	"log"
	"os"

	"github.com/valyala/fasthttp"
)

var (
	contentType = []byte("application/json")
	body        = []byte(`{"message":"hello"}`)
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("fasthttpd: the only argument is the address to listen on, as in 127.0.0.1:8000")
	}
	server := fasthttp.Server{
		// The name that TurboAPI sends, so that heads are of one size.
		Name: "turboapi",
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentTypeBytes(contentType)
			ctx.SetBody(body)
		},
	}
	log.Fatal(server.ListenAndServe(os.Args[1]))
}
