// A real Kubernetes API server for custom resources, with its etcd, in one process: what tests of ours ask.
// Official packages only; whoever reaches it may do everything, so it listens on loopback.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

func main() {
	data := flag.String("data", "", "folder for etcd")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	cert := flag.String("cert", "", "its certificate, PEM")
	key := flag.String("key", "", "the certificate's key, PEM")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *data, *listen, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data, listen, cert, key string) error {
	storage, err := etcd(filepath.Join(data, "etcd"))
	if err != nil {
		return err
	}
	defer storage.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	address := "https://" + listener.Addr().String()
	kubeconfig := filepath.Join(data, "self.kubeconfig")
	if err := self(kubeconfig, address); err != nil {
		return err
	}
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stderr, os.Stderr)
	o.RecommendedOptions.Etcd.StorageConfig.Transport.ServerList = []string{storage.Clients[0].Addr().String()}
	o.RecommendedOptions.SecureServing.Listener = listener
	o.RecommendedOptions.SecureServing.BindPort = port
	o.RecommendedOptions.SecureServing.ServerCert.CertKey.CertFile = cert
	o.RecommendedOptions.SecureServing.ServerCert.CertKey.KeyFile = key
	o.RecommendedOptions.Authentication = nil
	o.RecommendedOptions.Authorization = nil
	o.RecommendedOptions.Admission = nil
	o.RecommendedOptions.CoreAPI.CoreAPIKubeconfigPath = kubeconfig
	o.RecommendedOptions.Features.EnablePriorityAndFairness = false
	if err := o.Complete(); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	config, err := o.Config()
	if err != nil {
		return err
	}
	server, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
	if err != nil {
		return err
	}
	fmt.Println(address)
	return server.GenericAPIServer.PrepareRun().RunWithContext(ctx)
}

func etcd(folder string) (*embed.Etcd, error) {
	c := embed.NewConfig()
	c.Dir = folder
	c.LogLevel = "error"
	any := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{any}, []url.URL{any}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{any}, []url.URL{any}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	running, err := embed.StartEtcd(c)
	if err != nil {
		return nil, err
	}
	select {
	case <-running.Server.ReadyNotify():
		return running, nil
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("etcd did not become ready")
	}
}

// The server looks for Services of its own cluster (for conversion webhooks, which we have none of).
func self(path, address string) error {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "self",
		"clusters": []any{map[string]any{"name": "self", "cluster": map[string]any{"server": address, "insecure-skip-tls-verify": true}}},
		"contexts": []any{map[string]any{"name": "self", "context": map[string]any{"cluster": "self", "user": "self"}}},
		"users":    []any{map[string]any{"name": "self", "user": map[string]any{}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
