// Has the agent sign a request with the key named by the first argument.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
)

type answer struct {
	OK                bool
	Method, URL, Body string
	Headers, Error    map[string]string
}

func main() {
	path := os.Getenv("HSMSIGN_SOCKET")
	if path == "" {
		path = os.Getenv("XDG_RUNTIME_DIR") + "/hsmsign/agent.sock"
	}
	agent, err := net.Dial("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	request := map[string]string{"key": os.Args[1], "method": "POST", "path": "/0/private/Balance"}
	var signed answer
	if json.NewEncoder(agent).Encode(request) != nil || json.NewDecoder(agent).Decode(&signed) != nil {
		log.Fatal("the agent went away; the request may have been signed")
	} else if !signed.OK {
		log.Fatal(signed.Error)
	}
	fmt.Println(signed.Method, signed.URL)
	for name, value := range signed.Headers {
		fmt.Println(name+":", value)
	}
	fmt.Println(signed.Body)
}
