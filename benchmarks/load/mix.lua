-- Every second request goes to a `def` handler, the others to an `async def` one.
local first, second, turn

function init()
  first = wrk.format("GET", "/async")
  second = wrk.format("GET", "/def")
  turn = false
end

function request()
  turn = not turn
  if turn then
    return first
  end
  return second
end
