package transporttest

var bodies, answers, departures, refusals, limits, ends []suite
