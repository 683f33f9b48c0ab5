// Command chihaya starts the tracker chihaya, as its own command does, but without the parts that
// need modules that the Go module proxy does not have.
//
//	chihaya PORT
package main

import (
	"log"
	"os"
	"time"

	"github.com/chihaya/chihaya/frontend/http"
	"github.com/chihaya/chihaya/frontend/udp"
	"github.com/chihaya/chihaya/middleware"
	"github.com/chihaya/chihaya/storage/memory"
)

func main() {
	store, err := memory.New(memory.Config{
		GarbageCollectionInterval: 3 * time.Minute,
		PeerLifetime:              31 * time.Minute,
		ShardCount:                1024,
	})
	if err != nil {
		log.Fatal(err)
	}
	logic := middleware.NewLogic(middleware.Config{
		AnnounceInterval:    30 * time.Minute,
		MaxNumWant:          100,
		DefaultNumWant:      50,
		MaxScrapeInfoHashes: 50,
	}, store, nil, nil)
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		address := host + ":" + os.Args[1]
		if _, err := http.NewFrontend(logic, http.Config{
			Addr:         address,
			ReadTimeout:  5 * time.Second,
			WriteTimeout: 5 * time.Second,
		}); err != nil {
			log.Fatal(err)
		}
		if _, err := udp.NewFrontend(logic, udp.Config{
			Addr:         address,
			PrivateKey:   "a key for a comparison and for nothing else",
			MaxClockSkew: 10 * time.Second,
		}); err != nil {
			log.Fatal(err)
		}
	}
	select {}
}
