-- POST of a small JSON document.
wrk.method = "POST"
wrk.body = '{"name":"a lamp","price":12.5,"tags":["x","y"]}'
wrk.headers["Content-Type"] = "application/json"
